// Places that trigger again and again, and muted places: their lists, and their boxes on the picture.

import { element } from "/static/api.js";
import { clockAt } from "/static/times.js";

const card = document.getElementById("false-alarms");
const placeList = document.getElementById("places");
const muteList = document.getElementById("mutes");
let places = []; // as in the health message
let mutes = []; // as in the configuration

/** Lists the places of a health message. onMute: called with the box and labels of a new mute. */
export function listPlaces(latest, onMute) {
  // The next health message leaves out a place that was muted just now.
  const isMuted = ({ box }) => mutes.some((mute) => String(mute.box) === String(box));
  latest = latest.filter((place) => !isMuted(place));
  if (JSON.stringify(latest) === JSON.stringify(places)) return; // a button keeps the focus
  places = latest;
  placeList.replaceChildren(...places.map((place) => element("li", { class: "place" },
    element("span", {
      text: `${place.place}: ${place.count} × ${place.rule} (${place.label}), last at `
        + clockAt(place.last_time),
    }),
    element("button", {
      type: "button", text: "Mute", "aria-label": `Mute place ${place.place}`,
      click: () => onMute({ box: place.box, labels: [place.group || place.label] }),
    }))));
  showCard();
}

/** Lists the muted places. onUnmute: called with the box and labels of the one to remove. */
export function listMutes(latest, onUnmute) {
  mutes = latest;
  muteList.replaceChildren(...mutes.map((mute, number) => element("li", { class: "mute" },
    element("span", { text: `Muted ${number + 1}: ${mute.labels.join(", ") || "any object"}` }),
    element("button", {
      type: "button", class: "quiet", text: "Unmute", "aria-label": `Unmute place ${number + 1}`,
      click: () => onUnmute(mute),
    }))));
  showCard();
}

function showCard() {
  card.hidden = places.length + mutes.length === 0;
}

/** Kind, box in pixels of the picture and text of each box to draw. */
export function placeBoxes({ width, height }) {
  const scaled = ([x0, y0, x1, y1]) => [x0 * width, y0 * height, x1 * width, y1 * height];
  return [
    ...places.map((place) => ["place", scaled(place.box), `place ${place.place}`]),
    ...mutes.map((mute, number) => ["mute", scaled(mute.box), `muted ${number + 1}`]),
  ];
}
