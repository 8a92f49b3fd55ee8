// The latest captures as a grid of stills. Clips and large stills open in a dialog.

import { ask, element } from "/static/api.js";

const COUNT = 12; // captures in one request

const MARGIN = 0.1; // of the box of a capture on each side, as the next one differs a little

const list = document.getElementById("captures");
const older = document.getElementById("older");
const viewer = document.getElementById("viewer");
const media = document.getElementById("viewer-media");
const listed = new Map(); // id: [the capture as JSON, its list item]
let actions = {};

/** Adds new captures, and updates those whose clip is finished. Throws RequestError. */
export async function refresh() {
  const newest = await ask(`/api/captures?count=${COUNT}`);
  if (listed.size === 0) older.hidden = newest.length < COUNT;
  put(newest);
  await showUnreadable();
}

async function showUnreadable() {
  const { count } = await ask("/api/captures/unreadable");
  const note = document.getElementById("unreadable-captures");
  note.hidden = count === 0;
  note.textContent = `Not listed: ${count} ${count === 1 ? "capture whose sidecar" : "captures whose sidecars"}`
    + " (.json) can't be read. The log of edge view has their folder.";
}

/** onMute: called with the box and labels of a place to mute. onError: with an error to show. */
export function start({ onMute, onError }) {
  actions = { onMute, onError };
  older.addEventListener("click", async () => {
    const last = list.lastElementChild?.dataset.id ?? "";
    const more = await ask(`/api/captures?count=${COUNT}&before=${encodeURIComponent(last)}`);
    older.hidden = more.length < COUNT;
    put(more);
  });
  viewer.addEventListener("close", () => media.replaceChildren());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
}

function put(captures) {
  for (const capture of captures) {
    const text = JSON.stringify(capture);
    const [before, item] = listed.get(capture.id) ?? [];
    if (before === text) continue;
    const created = card(capture);
    listed.set(capture.id, [text, created]);
    if (item) item.replaceWith(created);
    else list.insertBefore(created, itemAfter(capture));
  }
  document.getElementById("no-captures").hidden = listed.size > 0;
}

/** The item before which a new one goes: the newest come first, by UTC and then by id. */
function itemAfter(capture) {
  const time = Date.parse(capture.time);
  const isOlder = ({ dataset }) =>
    Number(dataset.time) < time || (Number(dataset.time) === time && dataset.id < capture.id);
  return [...list.children].find(isOlder) ?? null;
}

const urlOf = (name) => `/captures/${name.split("/").map(encodeURIComponent).join("/")}`;

function card(capture) {
  const time = new Date(capture.time);
  const isToday = time.toDateString() === new Date().toDateString();
  const when = isToday ? time.toLocaleTimeString() : time.toLocaleString();
  const score = capture.score === null ? "" : ` ${Math.round(capture.score * 100)} %`;
  const title = capture.label === null ? capture.rule : capture.label + score;
  const caption = `${title}, rule ${capture.rule}, ${when}`;
  const picture = capture.still
    ? element("img", { src: urlOf(capture.still), alt: caption, loading: "lazy", decoding: "async" })
    : element("span", { class: "no-still", text: "clip" });
  const open = element("button", {
    type: "button", class: "still", "aria-label": `Open ${caption}`,
    click: () => show(capture.still ? "still" : "clip", capture, caption),
  }, picture);
  const play = capture.clip
    ? [element("button", {
      type: "button", class: "play quiet", text: `▶ ${capture.duration_s?.toFixed(1) ?? "?"} s`,
      "aria-label": `Play the clip of ${caption}`, click: () => show("clip", capture, caption),
    })]
    : [];
  const order = { class: capture.false_alarm ? "false-alarm" : "", "data-id": capture.id, "data-time": time.getTime() };
  return element("li", order, open, ...play,
    element("p", {}, element("strong", { text: title })),
    element("p", { class: "about" }, element("time", { datetime: capture.time, text: when }),
      ` · ${capture.rule}`), marks(capture, caption));
}

function marks(capture, caption) {
  const mark = element("button", {
    type: "button", class: "quiet", text: "False alarm",
    "aria-pressed": String(capture.false_alarm), "aria-label": `False alarm: ${caption}`,
    click: async () => {
      const body = { id: capture.id, false_alarm: !capture.false_alarm };
      try {
        put([await ask("/api/captures/false-alarm", { method: "POST", body })]);
      } catch (error) {
        actions.onError(error);
      }
    },
  });
  if (!capture.false_alarm || capture.box === null) return element("div", { class: "marks" }, mark);
  return element("div", { class: "marks" }, mark, element("button", {
    type: "button", class: "quiet", text: "Mute place", "aria-label": `Mute the place of ${caption}`,
    click: () => actions.onMute({ box: grown(capture.box), labels: [capture.group || capture.label] }),
  }));
}

function grown([x0, y0, x1, y1]) {
  const [x, y] = [(x1 - x0) * MARGIN, (y1 - y0) * MARGIN];
  return [x0 - x, y0 - y, x1 + x, y1 + y].map((side) =>
    Number(Math.min(1, Math.max(0, side)).toFixed(4)));
}

function show(kind, capture, caption) {
  media.replaceChildren(kind === "clip"
    ? element("video", { src: urlOf(capture.clip), controls: true, autoplay: true, loop: true,
      playsinline: true })
    : element("img", { src: urlOf(capture.still), alt: caption }),
  ...(kind === "clip" ? [] : capture.more_stills).map((name, index) =>
    element("img", { src: urlOf(name), alt: `${caption}, still ${index + 2}`, loading: "lazy" })));
  document.getElementById("viewer-caption").textContent = caption;
  viewer.showModal();
}
