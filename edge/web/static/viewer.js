// One capture in a dialog: its still with the box of the object, or its clip. Arrow keys and swipes
// lead to the next one.

import { element } from "/static/api.js";

const SWIPE_PX = 50; // a shorter movement of the finger is none

const by = (id) => document.getElementById(id);
const dialog = by("viewer");
const media = by("viewer-media");
let actions = {};
let capture = null;
let kind = "still";
let from = null; // [x, y] at which the finger touched

/** actions: titleOf and urlOf of captures and their files; neighbour, mark and remove of an id. */
export function startViewer(given) {
  actions = given;
  dialog.addEventListener("close", () => { media.replaceChildren(); capture = null; });
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("keydown", key);
  media.addEventListener("touchstart", ({ touches }) => {
    from = touches.length === 1 ? [touches[0].clientX, touches[0].clientY] : null;
  }, { passive: true });
  media.addEventListener("touchend", swipe);
  const on = (id, action) => by(id).addEventListener("click", () => {
    Promise.resolve(action()).catch(showError);
  });
  on("viewer-newer", () => go(-1));
  on("viewer-older", () => go(1));
  on("viewer-kind", () => view(capture, kind === "still" ? "clip" : "still"));
  on("viewer-star", () => change({ star: !capture.star }));
  on("viewer-wrong", () => change({ false_alarm: !capture.false_alarm }));
  on("viewer-delete", () => confirming(true));
  on("viewer-keep", () => confirming(false));
  on("viewer-destroy", destroy);
  by("viewer-box").addEventListener("change", () => showBox());
}

/** Opens the still or the clip of a capture, or shows it in place of another. */
export function view(shown, shownKind) {
  capture = shown;
  kind = shownKind;
  const title = actions.titleOf(capture);
  media.replaceChildren(kind === "clip"
    ? element("video", {
      src: actions.urlOf(capture.clip), controls: true, autoplay: true, loop: true, playsinline: true,
      "aria-label": title,
    })
    : element("div", { class: "stills" }, ...[capture.still, ...capture.more_stills].map((name, number) =>
      framed(name, capture.still_boxes[number], number ? `${title}, still ${number + 1}` : title))));
  showBox();
  by("viewer-caption").textContent = title;
  showButtons();
  confirming(false);
  if (!dialog.open) dialog.showModal();
}

/** A still with the box of the object over it; a still has the shape of the picture. */
function framed(name, box, title) {
  const still = element("img", { src: actions.urlOf(name), alt: title });
  if (!box) return element("div", { class: "framed" }, still);
  const [x0, y0, x1, y1] = box;
  const drawn = element("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    element("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: "halo" }),
    element("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
  return element("div", { class: "framed" }, still, drawn);
}

function showBox() {
  for (const drawn of media.querySelectorAll("svg")) {
    drawn.toggleAttribute("hidden", !by("viewer-box").checked);
  }
}

function showButtons() {
  const { still, clip, star, false_alarm: isFalse } = capture;
  by("viewer-kind").hidden = !(still && clip);
  by("viewer-kind").textContent = kind === "still" ? "▶ Clip" : "Still";
  by("viewer-box").parentElement.hidden = kind === "clip" || !capture.still_boxes.some(Boolean);
  by("viewer-star").setAttribute("aria-pressed", String(star));
  by("viewer-star").textContent = star ? "★ Kept" : "☆ Keep";
  by("viewer-wrong").setAttribute("aria-pressed", String(isFalse));
  for (const [id, name] of [["viewer-still", still], ["viewer-clip", clip]]) {
    by(id).hidden = !name;
    if (name) by(id).href = actions.urlOf(name);
    if (name) by(id).download = name.split("/").at(-1);
  }
}

function confirming(on) {
  by("viewer-actions").hidden = on;
  by("viewer-confirm").hidden = !on;
  if (on) by("viewer-keep").focus();
  else by("viewer-error").textContent = "";
}

async function go(step) {
  const next = await actions.neighbour(capture.id, step);
  if (next) view(next, next.still ? "still" : "clip");
}

async function change(marking) {
  const marked = await actions.mark(capture.id, marking);
  if (capture?.id !== marked.id) return;
  capture = marked;
  showButtons();
}

async function destroy() {
  const { id } = capture;
  const next = await actions.neighbour(id, 1) ?? await actions.neighbour(id, -1);
  await actions.remove(id);
  if (next) view(next, next.still ? "still" : "clip");
  else dialog.close();
}

function showError(error) {
  by("viewer-error").textContent = error.message;
}

function key(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.target.tagName === "VIDEO" || capture === null) return; // there they move in time
  if (step) go(step).catch(showError);
  else if (event.key === "Delete") confirming(true);
  else return;
  event.preventDefault();
}

function swipe({ changedTouches: [touch] }) {
  if (from === null) return;
  const [right, down] = [touch.clientX - from[0], touch.clientY - from[1]];
  from = null;
  if (Math.abs(right) > SWIPE_PX && Math.abs(right) > 2 * Math.abs(down)) {
    go(right < 0 ? 1 : -1).catch(showError);
  }
}
