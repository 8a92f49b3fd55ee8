// The captures as a grid of thumbnails, with their marks. One of them opens in the viewer.

import { ask, element } from "/static/api.js";
import { query, refreshOverview, startFilters } from "/static/filters.js";
import { whenLocal } from "/static/times.js";
import { startViewer, view } from "/static/viewer.js";

const COUNT = 12; // captures in one request
const OVERVIEW_MS = 60000; // the bars are read again this often without a new capture
const MARGIN = 0.1; // of the box of a capture on each side, as the next one differs a little

const list = document.getElementById("captures");
const older = document.getElementById("older");
const listed = new Map(); // id: [the capture as JSON, its list item, the capture]
let actions = {};
let listedQuery = ""; // the filter of the list
let overviewMs = 0; // time of the last one

const addressOf = (more) => `/api/captures?${[`count=${COUNT}`, query(), more].filter(Boolean).join("&")}`;

/** Adds new captures, removes deleted ones, and updates the others; after a change of the filter,
 *  lists the newest only. Throws RequestError. */
export async function refresh() {
  const asked = query();
  const newest = await ask(addressOf());
  if (asked !== query()) return; // the filter was changed meanwhile
  const isOther = asked !== listedQuery;
  listedQuery = asked;
  if (isOther || listed.size === 0) older.hidden = newest.length < COUNT;
  const isNew = newest.some(({ id }) => !listed.has(id));
  const isGone = removeMissing(newest, isOther);
  put(newest);
  await showUnreadable();
  if (isNew || isGone || Date.now() - overviewMs > OVERVIEW_MS) await readOverview();
}

async function readOverview() {
  overviewMs = Date.now();
  await refreshOverview();
}

/** Removes those that the newest ones should include; all other ones, if the filter is another. */
function removeMissing(newest, isOther) {
  const there = new Set(newest.map(({ id }) => id));
  const last = isOther || newest.length < COUNT ? null : newest.at(-1).id;
  let isGone = false;
  for (const { dataset: { id } } of [...list.children]) {
    if (!there.has(id)) {
      remove(id);
      isGone = true;
    }
    if (id === last) break;
  }
  return isGone;
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
  older.addEventListener("click", () => readOlder().catch(onError));
  startFilters(async () => {
    overviewMs = 0;
    await refresh().catch(onError);
  });
  startViewer({ titleOf, urlOf, neighbour, mark, remove: destroy, onError });
}

async function readOlder() {
  const last = list.lastElementChild?.dataset.id ?? "";
  const more = await ask(addressOf(`before=${encodeURIComponent(last)}`));
  older.hidden = more.length < COUNT;
  put(more);
  return more.length;
}

/** The capture of this event, once it is listed; null after `ms`. */
export async function ofEvent(eventId, ms) {
  for (const end = Date.now() + ms; Date.now() < end;) {
    const newest = await ask(`/api/captures?count=${COUNT}`);
    const made = newest.find((capture) => capture.event_id === eventId);
    if (made) return made;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return null;
}

function put(captures) {
  for (const capture of captures) {
    const text = JSON.stringify(capture);
    const [before, item] = listed.get(capture.id) ?? [];
    if (before === text) continue;
    const created = card(capture);
    listed.set(capture.id, [text, created, capture]);
    if (item) replace(item, created);
    else list.insertBefore(created, itemAfter(capture));
  }
  showEmpty();
}

/** Replaces a card; the button that has the focus keeps it. */
function replace(item, created) {
  const focused = [...item.querySelectorAll("button")].indexOf(document.activeElement);
  item.replaceWith(created);
  if (focused >= 0) created.querySelectorAll("button")[focused]?.focus();
}

function remove(id) {
  listed.get(id)?.[1].remove();
  listed.delete(id);
  showEmpty();
}

function showEmpty() {
  const note = document.getElementById("no-captures");
  note.hidden = listed.size > 0;
  note.textContent = query() === "" ? "No captures yet." : "No capture fits these filters.";
}

/** The item before which a new one goes: the newest come first, by UTC and then by id. */
function itemAfter(capture) {
  const time = Date.parse(capture.time);
  const isOlder = ({ dataset }) =>
    Number(dataset.time) < time || (Number(dataset.time) === time && dataset.id < capture.id);
  return [...list.children].find(isOlder) ?? null;
}

/** The capture `step` places after this one in the list, which is extended; null at its end. */
async function neighbour(id, step) {
  const item = listed.get(id)?.[1];
  if (step > 0 && item && !item.nextElementSibling && !older.hidden) await readOlder();
  const next = step > 0 ? item?.nextElementSibling : item?.previousElementSibling;
  return next ? listed.get(next.dataset.id)[2] : null;
}

const encoded = (name) => name.split("/").map(encodeURIComponent).join("/");
const urlOf = (name) => `/captures/${encoded(name)}`;

function headline({ label, score, rule }) {
  return label === null ? rule : label + (score === null ? "" : ` ${Math.round(score * 100)} %`);
}

function titleOf(capture) {
  const where = capture.zones.length ? `, in ${capture.zones.join(" and ")}` : "";
  return `${headline(capture)}, rule ${capture.rule}${where}, ${whenLocal(capture.time)}`;
}

function card(capture) {
  const title = titleOf(capture);
  const picture = capture.still
    ? element("img", {
      src: `/thumbnails/${encoded(capture.id)}`, alt: "", loading: "lazy", decoding: "async",
      width: 320, height: 240,
    })
    : element("span", { class: "no-still", text: "clip" });
  const open = element("button", {
    type: "button", class: "still", "aria-label": `Open ${title}`,
    click: () => view(capture, capture.still ? "still" : "clip"),
  }, picture);
  const play = capture.clip
    ? [element("button", {
      type: "button", class: "play quiet", text: `▶ ${capture.duration_s?.toFixed(1) ?? "?"} s`,
      "aria-label": `Play the clip of ${title}`, click: () => view(capture, "clip"),
    })]
    : [];
  const time = Date.parse(capture.time);
  const order = { class: capture.false_alarm ? "false-alarm" : "", "data-id": capture.id, "data-time": time };
  return element("li", order, open, ...play,
    element("p", {}, element("strong", { text: headline(capture) })),
    element("p", { class: "about" },
      element("time", { datetime: capture.time, text: whenLocal(capture.time) }), ` · ${capture.rule}`),
    marks(capture, title));
}

function marks(capture, title) {
  const star = element("button", {
    type: "button", class: "quiet star", text: capture.star ? "★" : "☆",
    "aria-pressed": String(capture.star), "aria-label": `Keep ${title}`,
    click: () => mark(capture.id, { star: !capture.star }).catch(actions.onError),
  });
  const falseAlarm = element("button", {
    type: "button", class: "quiet wrong", text: "False alarm",
    "aria-pressed": String(capture.false_alarm), "aria-label": `False alarm: ${title}`,
    click: () => mark(capture.id, { false_alarm: !capture.false_alarm }).catch(actions.onError),
  });
  const mute = capture.false_alarm && capture.box !== null
    ? [element("button", {
      type: "button", class: "quiet", text: "Mute place", "aria-label": `Mute the place of ${title}`,
      click: () => actions.onMute({ box: grown(capture.box), labels: [capture.group || capture.label] }),
    })]
    : [];
  return element("div", { class: "marks" }, star, falseAlarm, ...mute);
}

/** Changes marks, and resolves to the capture. */
async function mark(id, marking) {
  const capture = await ask("/api/captures/marks", { method: "POST", body: { id, ...marking } });
  put([capture]);
  return capture;
}

/** Deletes a capture, after the person has confirmed it. */
async function destroy(id) {
  await ask("/api/captures", { method: "DELETE", body: { id } });
  remove(id);
  await readOverview();
}

function grown([x0, y0, x1, y1]) {
  const [x, y] = [(x1 - x0) * MARGIN, (y1 - y0) * MARGIN];
  return [x0 - x, y0 - y, x1 + x, y1 + y].map((side) =>
    Number(Math.min(1, Math.max(0, side)).toFixed(4)));
}
