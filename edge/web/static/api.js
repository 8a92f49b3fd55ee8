// Requests to the server beside this page. What goes wrong is always a Refused.

export class Refused extends Error {
  /** status: of HTTP, 0 where the server didn't answer. problems: one sentence each. */
  constructor(status, problems) {
    super(problems.join("\n"));
    this.status = status;
    this.problems = problems;
  }
}

/** The JSON that is answered. `body` is sent as JSON. */
export async function ask(path, { method = "GET", body } = {}) {
  const options = { method };
  if (method !== "GET") {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body ?? {});
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, ["edge view itself does not answer: is it still running?"]);
  }
  const told = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw new Refused(answer.status, told?.problems ?? [`the server answered ${answer.status}`]);
  }
  return told;
}

/** Bytes that JSON carries as base64, as something to be decoded as a picture. */
export function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], { type });
}

/** Resolves when somebody can see this page. */
export function visible() {
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
    check();
  });
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `act` now and again `ms` after it has ended, while the page is visible. */
export async function repeat(ms, act) {
  for (;;) {
    await visible();
    await act();
    await sleep(ms);
  }
}

/** An element with attributes; `text` and functions (listeners, by event) among them. */
export function element(tag, attributes = {}, ...children) {
  const isSvg = ["g", "rect", "text", "polygon", "polyline", "circle"].includes(tag);
  const made = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (name === "text") made.textContent = value;
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
