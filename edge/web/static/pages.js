// Links to the pages of the other cameras of this machine, each of which has its own port.

import { element } from "/static/api.js";

/** ports: by name of the camera; with one only, there are no links. */
export function listPages(nav, ports) {
  const names = Object.keys(ports);
  nav.hidden = names.length < 2;
  nav.replaceChildren(...names.map((name) => {
    const address = new URL("/", location.href);
    address.port = ports[name];
    const current = address.href === new URL("/", location.href).href ? { "aria-current": "page" } : {};
    return element("a", { href: address.href, class: "button", text: name, ...current });
  }));
}
