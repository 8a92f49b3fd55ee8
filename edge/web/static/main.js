// The page as a whole: what is live, what is being edited, what was saved.

import { ask, Refused, repeat, sleep } from "/static/api.js";
import { refresh, start } from "/static/captures.js";
import { Editor } from "/static/editor.js";
import { shows, watch } from "/static/live.js";
import { listRules, listShapes, listSliders } from "/static/settings.js";

const STATUS_MS = 5000;
const CAPTURES_MS = 5000;
const HINT = "Click corner by corner, or drag a rectangle. Enter closes the shape, Esc gives up.";

const by = (id) => document.getElementById(id);
let saved = null; // what the server told of the file
let rules = []; // with the shapes of their zones
let motion = {};
let before = ""; // the change that would be sent, as it was when loaded

const editor = new Editor(by("drawing"), {
  onChange: () => { listAll(); tellDirty(); },
  onMode: (mode) => {
    by("drawing-bar").hidden = mode === null;
    by("drawing-hint").textContent = HINT;
    for (const kind of ["zone", "mask"]) by(`add-${kind}`).disabled = mode !== null;
  },
});

// --- the settings ---

function change() {
  return {
    version: saved.version,
    zones: shapesOf("zone").map(({ name, was, points }) => ({ name, was, polygon: points })),
    masks: shapesOf("mask").map(({ was, points }) => ({ was, polygon: points })),
    rules: rules.map(({ name, zones }) => ({ name, zones: zones.map((zone) => zone.name) })),
    motion,
  };
}

const isDirty = () => saved !== null && JSON.stringify(change()) !== before;

async function load() {
  saved = await ask("/api/settings");
  by("camera").textContent = saved.camera;
  document.title = `${saved.camera} · live view`;
  motion = Object.fromEntries(saved.sliders.map(({ key }) => [key, saved.motion[key]]));
  listSliders(by("sliders"), saved.sliders, motion, tellDirty);
  const zones = saved.zones.map(({ name, polygon }) => ({ kind: "zone", name, was: name, points: polygon }));
  const masks = saved.masks.map((polygon, was) => ({ kind: "mask", name: "", was, points: polygon }));
  rules = saved.rules.map((rule) => ({
    ...rule, zones: rule.zones.map((name) => zones.find((zone) => zone.name === name)),
  }));
  editor.setShapes([...zones, ...masks]);
  before = JSON.stringify(change());
  tellDirty();
}

const shapesOf = (kind) => editor.shapes.filter((shape) => shape.kind === kind);

function listAll() {
  const zones = shapesOf("zone");
  for (const rule of rules) rule.zones = rule.zones.filter((zone) => zones.includes(zone));
  const tellRules = () => listRules(by("rules"), rules, zones, tellDirty);
  listShapes(by("shape-list"), editor, () => { tellRules(); tellDirty(); });
  tellRules();
  const points = editor.selected?.points.length ?? 0;
  by("delete-corner").hidden = editor.corner === null || points <= 3;
}

function tellDirty() {
  const dirty = isDirty();
  by("save").disabled = by("discard").disabled = !dirty;
  if (dirty) say("quiet", ["Unsaved changes."]);
  else if (by("said").dataset.kind === "quiet") by("bar").hidden = true;
}

/** kind: "quiet", "good" or "bad". */
function say(kind, sentences) {
  by("bar").hidden = false;
  by("said").dataset.kind = kind;
  by("said").replaceChildren(...sentences.map((text) => {
    const line = document.createElement("p");
    line.textContent = text;
    return line;
  }));
  for (const slider of document.querySelectorAll(".slider")) {
    const isWrong = sentences.some((text) => text.includes(`${slider.dataset.key}:`));
    slider.classList.toggle("wrong", isWrong);
    slider.querySelector("[type=number]").setAttribute("aria-invalid", String(isWrong));
  }
}

async function save() {
  by("save").disabled = true;
  say("quiet", ["Saving…"]);
  try {
    const { taken_up: isTakenUp, text } = await ask("/api/settings", { method: "PUT", body: change() });
    await load();
    say(isTakenUp ? "good" : "bad", [isTakenUp ? `Saved: ${text}.` : `Saved, but not taken up: ${text}`]);
  } catch (error) {
    const again = error.status === 409 ? ["Discard loads it again."] : [];
    say("bad", [...error.problems ?? [String(error)], ...again]);
    by("save").disabled = by("discard").disabled = false;
  }
}

async function discard() {
  try {
    await load();
    by("bar").hidden = true;
  } catch (error) {
    say("bad", error.problems ?? [String(error)]);
  }
}

// --- the state of things ---

let health = "";

function tellState(error, snapshot) {
  if (error?.status === 401) lock();
  const isPaused = snapshot !== null && snapshot.sight === null;
  const state = by("state");
  by("capture").disabled = error !== null;
  state.dataset.state = error ? "lost" : isPaused ? "paused" : "live";
  const tracks = snapshot?.sight?.tracks.length ?? 0;
  const seen = `${tracks} ${tracks === 1 ? "track" : "tracks"}`;
  const told = error ? shortly(error) : isPaused ? "paused" : ["live", health, seen].filter(Boolean).join(" · ");
  if (state.textContent !== told) state.textContent = told;
}

function shortly(error) {
  if (error.status === 401) return "locked";
  return error.status === 503 ? "no answer from the daemon, trying again…" : "no picture";
}

async function tellHealth() {
  try {
    const { health: told } = await ask("/api/status");
    if (told === null) return;
    health = [`${told.fps.toFixed(0)} fps`, `${told.invocations_per_s.toFixed(1)} looks/s`,
      ...told.problems].join(" · ");
  } catch (error) {
    health = "";
  }
}

async function captureNow() {
  try {
    await ask("/api/capture", { method: "POST" });
    await sleep(500);
    await refresh();
  } catch (error) {
    say("bad", error.problems ?? [String(error)]);
  }
}

// --- the way in ---

async function enter(token) {
  try {
    await ask("/api/login", { method: "POST", body: { token } });
    await begin();
  } catch (error) {
    by("login-said").textContent = error.message;
  }
}

function lock() {
  if (!by("login").hidden) return;
  by("login").hidden = false;
  by("main").hidden = true;
  by("token").focus();
}

/** A token in the address, after the #, never reaches a server's log; it is taken out at once. */
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
      tellState(error, null);
      return;
    }
    by("no-settings").hidden = false;
    by("no-settings").textContent = (error.problems ?? [String(error)]).join(" ");
  }
  by("login").hidden = true;
  by("main").hidden = false;
  if (isRunning) return;
  isRunning = true;
  watch({ onSize: (width, height) => editor.setSize(width, height), onError: tellState });
  repeat(STATUS_MS, tellHealth);
  repeat(CAPTURES_MS, () => refresh().catch((error) => {
    if (!(error instanceof Refused)) throw error;
  }));
}

by("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(by("token").value);
});
by("save").addEventListener("click", save);
by("discard").addEventListener("click", discard);
by("capture").addEventListener("click", captureNow);
by("add-zone").addEventListener("click", () => editor.begin("zone"));
by("add-mask").addEventListener("click", () => editor.begin("mask"));
by("delete-corner").addEventListener("click", () => editor.removeCorner());
by("finish").addEventListener("click", () => editor.finish());
by("give-up").addEventListener("click", () => editor.giveUp());
by("layers").addEventListener("change", () => {
  editor.hidden = new Set(["zone", "mask"].filter((kind) => !shows(kind)));
  editor.render();
});
window.addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
start();

const token = tokenInAddress();
if (token) await enter(token);
else await begin();
