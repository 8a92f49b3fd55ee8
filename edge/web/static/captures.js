// The latest captures: stills as a grid, clips and large stills in a dialog.

import { ask, element } from "/static/api.js";

const COUNT = 12;

const list = document.getElementById("captures");
const older = document.getElementById("older");
const viewer = document.getElementById("viewer");
const media = document.getElementById("viewer-media");
const shown = new Map(); // id: [what was told of it, its item]

/** Puts in what is new or has got its clip meanwhile. Raises Refused. */
export async function refresh() {
  const newest = await ask(`/api/captures?count=${COUNT}`);
  if (shown.size === 0) older.hidden = newest.length < COUNT;
  put(newest);
}

export function start() {
  older.addEventListener("click", async () => {
    const last = [...shown.keys()].sort().at(0);
    const more = await ask(`/api/captures?count=${COUNT}&before=${encodeURIComponent(last)}`);
    older.hidden = more.length < COUNT;
    put(more);
  });
  viewer.addEventListener("close", () => media.replaceChildren());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
}

function put(captures) {
  for (const capture of captures) {
    const told = JSON.stringify(capture);
    const [before, item] = shown.get(capture.id) ?? [];
    if (before === told) continue;
    const made = card(capture);
    shown.set(capture.id, [told, made]);
    if (item) item.replaceWith(made);
    else list.insertBefore(made, following(capture.id));
  }
  document.getElementById("no-captures").hidden = shown.size > 0;
}

/** The item before which a new one goes: ids are in the order of time, the newest come first. */
function following(id) {
  return [...list.children].find((item) => item.dataset.id < id) ?? null;
}

const urlOf = (name) => `/captures/${name.split("/").map(encodeURIComponent).join("/")}`;

function card(capture) {
  const time = new Date(capture.time);
  const isToday = time.toDateString() === new Date().toDateString();
  const when = isToday ? time.toLocaleTimeString() : time.toLocaleString();
  const score = capture.score === null ? "" : ` ${Math.round(capture.score * 100)} %`;
  const what = capture.label === null ? capture.rule : capture.label + score;
  const told = `${what}, rule ${capture.rule}, ${when}`;
  const picture = capture.still
    ? element("img", { src: urlOf(capture.still), alt: told, loading: "lazy", decoding: "async" })
    : element("span", { class: "no-still", text: "clip" });
  const open = element("button", {
    type: "button", class: "still", "aria-label": `Open ${told}`,
    click: () => show(capture.still ? "still" : "clip", capture, told),
  }, picture);
  const play = capture.clip
    ? [element("button", {
      type: "button", class: "play quiet", text: `▶ ${capture.duration_s?.toFixed(1) ?? "?"} s`,
      "aria-label": `Play the clip of ${told}`, click: () => show("clip", capture, told),
    })]
    : [];
  return element("li", { "data-id": capture.id }, open, ...play,
    element("p", {}, element("strong", { text: what })),
    element("p", { class: "about" }, element("time", { datetime: capture.time, text: when }),
      ` · ${capture.rule}`));
}

function show(kind, capture, told) {
  media.replaceChildren(kind === "clip"
    ? element("video", { src: urlOf(capture.clip), controls: true, autoplay: true, loop: true,
      playsinline: true })
    : element("img", { src: urlOf(capture.still), alt: told }));
  document.getElementById("viewer-told").textContent = told;
  viewer.showModal();
}
