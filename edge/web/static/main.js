// The whole page: live picture, editing, saving and access.

import { ask, element, repeat, RequestError } from "/static/api.js";
import { ofEvent, refresh, start } from "/static/captures.js";
import { Editor } from "/static/editor.js";
import { shows, watch } from "/static/live.js";
import { listPages } from "/static/pages.js";
import { listMutes, listPlaces } from "/static/places.js";
import { editOf, listRules, newRule, ruleOf } from "/static/rules.js";
import { listShapes, listSliders } from "/static/settings.js";
import { whenLocal } from "/static/times.js";
import { view } from "/static/viewer.js";

const STATUS_MS = 5000;
const CAPTURES_MS = 5000;
const CAPTURE_MS = 6000; // longest time for a still on command to be written
const HINT = "Click each corner, or drag a rectangle. Enter closes the shape, Esc cancels.";
const LINE_HINT = "Click the two ends, or drag from one to the other. Objects that go across it as the "
  + "arrow points are counted as in.";
const KINDS = ["zone", "mask", "privacy", "line"];

const by = (id) => document.getElementById(id);
let saved = null; // the settings as the server read them from the file
let rules = []; // each with the shapes of its zones
let motion = {};
let before = ""; // the request to save as JSON, as it is without a change

const editor = new Editor(by("drawing"), {
  onChange: () => { listAll(); showDirty(); },
  onMode: (mode) => {
    by("drawing-bar").hidden = mode === null;
    by("drawing-hint").textContent = mode === "line" ? LINE_HINT : HINT;
    for (const kind of KINDS) by(`add-${kind}`).disabled = mode !== null;
  },
});

// --- the settings ---

function change() {
  return {
    version: saved.version,
    zones: shapesOf("zone").map(({ name, was, points }) => ({ name, was, polygon: points })),
    masks: shapesOf("mask").map(({ was, points }) => ({ was, polygon: points })),
    privacy: shapesOf("privacy").map(({ was, points }) => ({ was, polygon: points })),
    lines: shapesOf("line").map(({ name, was, labels, points }) => ({ name, was, labels, points })),
    rules: rules.map(editOf),
    motion,
  };
}

const isDirty = () => saved !== null && JSON.stringify(change()) !== before;

async function load() {
  saved = await ask("/api/settings");
  by("camera").textContent = saved.camera;
  listPages(by("pages"), saved.pages);
  document.title = `${saved.camera} · live view`;
  motion = Object.fromEntries(saved.sliders.map(({ key }) => [key, saved.motion[key]]));
  listSliders(by("sliders"), saved.sliders, motion, showDirty);
  const zones = saved.zones.map(({ name, polygon }) => ({ kind: "zone", name, was: name, points: polygon }));
  const masks = ["mask", "privacy"].flatMap((kind) =>
    (kind === "mask" ? saved.masks : saved.privacy)
      .map((polygon, was) => ({ kind, name: "", was, points: polygon })));
  const lines = saved.lines.map(({ name, points, labels }) => ({ kind: "line", name, was: name, labels, points }));
  rules = saved.rules.map((rule) => ruleOf(rule, zones));
  listMutes(saved.mutes, (row) => changeMute("DELETE", row));
  editor.setShapes([...zones, ...masks, ...lines]);
  before = JSON.stringify(change());
  showDirty();
}

const shapesOf = (kind) => editor.shapes.filter((shape) => shape.kind === kind);

function listAll() {
  const zones = shapesOf("zone");
  for (const rule of rules) rule.zones = rule.zones.filter((zone) => zones.includes(zone));
  const showRules = () => listRules(by("rules"), rules, zones, showDirty, (gone) => {
    rules = rules.filter((rule) => rule !== gone);
    showRules();
    showDirty();
  });
  listShapes(by("shape-list"), editor, () => { showRules(); showDirty(); });
  showRules();
  by("delete-corner").hidden = !editor.canRemoveCorner();
}

function showDirty() {
  const dirty = isDirty();
  by("save").disabled = by("discard").disabled = !dirty;
  if (dirty) showMessage("quiet", ["There are unsaved changes."]);
  else if (by("message").dataset.kind === "quiet") by("bar").hidden = true;
}

const problemsOf = (error) => error.problems ?? [String(error)];

/** Shows sentences, and marks the fields that they name. kind: "quiet", "good" or "bad". */
function showMessage(kind, sentences) {
  by("bar").hidden = false;
  by("message").dataset.kind = kind;
  by("message").replaceChildren(...sentences.map((text) => element("p", { text })));
  for (const field of document.querySelectorAll("[data-key]")) {
    const { key } = field.dataset;
    const isWrong = sentences.some((text) => text.includes(`${key}:`) || text.includes(`${key}[`));
    field.classList.toggle("wrong", isWrong);
    field.querySelector("input:not([type=range])").setAttribute("aria-invalid", String(isWrong));
    if (isWrong) field.closest("details").open = true;
  }
}

async function save() {
  by("save").disabled = true;
  showMessage("quiet", ["Saving…"]);
  try {
    const { taken_up: isTakenUp, text } = await ask("/api/settings", { method: "PUT", body: change() });
    await load();
    showMessage(isTakenUp ? "good" : "bad",
      [isTakenUp ? `Saved: ${text}.` : `Saved, but the daemon did not reload: ${text}`]);
  } catch (error) {
    const advice = error.status === 409 ? ["Discard loads the file again."] : [];
    showMessage("bad", [...problemsOf(error), ...advice]);
    by("save").disabled = by("discard").disabled = false;
  }
}

/** Mutes a place with POST, unmutes it with DELETE, at once; other unsaved changes stay. */
async function changeMute(method, { box, labels }) {
  if (saved === null) {
    showMessage("bad", [by("no-settings").textContent]);
    return;
  }
  try {
    const body = { version: saved.version, box, labels };
    const { version, taken_up: isTakenUp, text } = await ask("/api/mutes", { method, body });
    saved.version = version;
    saved.mutes = (await ask("/api/settings")).mutes;
    before = JSON.stringify({ ...JSON.parse(before), version });
    listMutes(saved.mutes, (row) => changeMute("DELETE", row));
    const done = method === "POST" ? "Muted" : "Unmuted";
    showMessage(isTakenUp ? "good" : "bad",
      [isTakenUp ? `${done}: ${text}.` : `${done}, but the daemon did not reload: ${text}`]);
    await readHealth();
  } catch (error) {
    const advice = error.status === 409 ? ["Discard loads the file again."] : [];
    if (error.status === 409) by("discard").disabled = false;
    showMessage("bad", [...problemsOf(error), ...advice]);
  }
}

async function discard() {
  try {
    await load();
    by("bar").hidden = true;
  } catch (error) {
    showMessage("bad", problemsOf(error));
  }
}

// --- the state line ---

let health = "";

function showState(error, snapshot) {
  if (error?.status === 401) lock();
  const isPaused = snapshot !== null && snapshot.sight === null;
  const state = by("state");
  by("capture").disabled = error !== null;
  state.dataset.state = error ? "lost" : isPaused ? "paused" : "live";
  const tracks = snapshot?.sight?.tracks.length ?? 0;
  const count = `${tracks} ${tracks === 1 ? "track" : "tracks"}`;
  const live = ["live", health, count].filter(Boolean).join(" · ");
  const text = error ? shortText(error) : isPaused ? "paused" : live;
  if (state.textContent !== text) state.textContent = text;
}

function shortText(error) {
  if (error.status === 401) return "token needed";
  return error.status === 503 ? "no answer from the daemon, retrying…" : "no picture";
}

async function readHealth() {
  try {
    const { health: latest } = await ask("/api/status");
    if (latest === null) return;
    listPlaces(latest.places, (row) => changeMute("POST", row));
    health = [`${latest.fps.toFixed(0)} fps`,
      `${latest.invocations_per_s.toFixed(1)} invocations/s`, ...latest.problems].join(" · ");
  } catch (error) {
    health = "";
  }
}

async function captureNow() {
  by("capture").disabled = true;
  showMessage("quiet", ["Making a still…"]);
  try {
    const { event_id: eventId } = await ask("/api/capture", { method: "POST" });
    const made = await ofEvent(eventId, CAPTURE_MS);
    await refresh();
    if (made) {
      showMessage("good", [`Made a still at ${whenLocal(made.time)}.`]);
      by("message").append(element("button", {
        type: "button", text: "Open it", click: () => view(made, "still"),
      }));
    } else {
      showMessage("bad", ["The daemon has begun a still, but it has not been written yet. The state "
        + "above names a problem with the disk, if there is one."]);
    }
  } catch (error) {
    showMessage("bad", problemsOf(error));
  }
}

// --- access ---

async function logIn(token) {
  try {
    await ask("/api/login", { method: "POST", body: { token } });
    await begin();
  } catch (error) {
    by("login-error").textContent = error.message;
  }
}

function lock() {
  if (!by("login").hidden) return;
  by("login").hidden = false;
  by("main").hidden = true;
  by("token").focus();
}

/** Removes the token after the # from the address, and returns it. Browsers do not send that part,
 *  so that no server logs it. */
function tokenInAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname);
  return token;
}

let isRunning = false;

async function begin() {
  try {
    await load();
    by("no-settings").hidden = true;
  } catch (error) {
    if (error.status === 401) {
      showState(error, null);
      return;
    }
    by("no-settings").hidden = false;
    by("no-settings").textContent = problemsOf(error).join(" ");
  }
  by("login").hidden = true;
  by("main").hidden = false;
  if (isRunning) return;
  isRunning = true;
  watch({
    onSize: (width, height) => editor.setSize(width, height),
    namesTaken: () => editor.names,
    onFrame: showState,
  });
  repeat(STATUS_MS, readHealth);
  repeat(CAPTURES_MS, () => refresh().catch((error) => {
    if (!(error instanceof RequestError)) throw error;
  }));
}

by("login").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(by("token").value);
});
by("save").addEventListener("click", save);
by("discard").addEventListener("click", discard);
by("capture").addEventListener("click", captureNow);
for (const kind of KINDS) by(`add-${kind}`).addEventListener("click", () => editor.begin(kind));
by("add-rule").addEventListener("click", () => {
  rules.push(newRule(rules));
  listAll();
  showDirty();
  by("rules").querySelector(".rule:last-child input").select();
});
by("delete-corner").addEventListener("click", () => editor.removeCorner());
by("finish").addEventListener("click", () => editor.finish());
by("cancel").addEventListener("click", () => editor.cancel());
by("layers").addEventListener("change", () => {
  editor.hidden = new Set(KINDS.filter((kind) => !shows(kind)));
  editor.render();
});
window.addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
start({
  onMute: (row) => changeMute("POST", row),
  onError: (error) => showMessage("bad", problemsOf(error)),
});

const token = tokenInAddress();
if (token) await logIn(token);
else await begin();
