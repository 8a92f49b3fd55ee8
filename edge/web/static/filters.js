// Filters of the captures: day, rule, label, zone and star, and the hours of a day as bars.

import { ask, element } from "/static/api.js";
import { dayName, setZone } from "/static/times.js";

const by = (id) => document.getElementById(id);
const form = by("filters");
const bars = by("hours");
const NAMES = ["day", "rule", "label", "zone"];

let hour = null;
let shownDay = ""; // of the bars
let shown = ""; // the overview as JSON

/** The filter as parameters of an address. */
export function query() {
  const given = NAMES.map((name) => [name, form.elements[name].value]);
  if (form.elements.star.checked) given.push(["star", "true"]);
  if (hour !== null) given.push(["hour", hour]);
  return new URLSearchParams(given.filter(([, value]) => value !== "")).toString();
}

/** onChange: called after each change by a person. */
export function startFilters(onChange) {
  by("finding").open = matchMedia("(min-width: 40rem)").matches; // a phone shows captures first
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    if (target.name === "day") hour = null;
    onChange();
  });
  form.addEventListener("reset", () => {
    hour = null;
    setTimeout(onChange); // after the reset
  });
  bars.addEventListener("click", ({ target }) => {
    const bar = target.closest("button");
    if (!bar) return;
    const chosen = Number(bar.dataset.hour);
    hour = hour === chosen ? null : chosen;
    if (hour !== null) form.elements.day.value = shownDay;
    onChange();
  });
}

/** Reads the choices and the hours again. Throws RequestError. */
export async function refreshOverview() {
  const overview = await ask(`/api/captures/overview?${query()}`);
  setZone(overview.zone);
  by("clear").hidden = query() === "";
  const text = JSON.stringify([overview, hour, dayName(overview.day || "1970-01-01")]);
  if (text === shown) return; // a control keeps the focus
  shown = text;
  shownDay = overview.day;
  choices("day", overview.days, dayName);
  choices("rule", overview.rules);
  choices("label", overview.labels);
  choices("zone", overview.zones);
  showHours(overview);
}

/** Replaces the choices, except the first, which stands for any. The chosen one stays. */
function choices(name, values, title = (value) => value) {
  const select = form.elements[name];
  const chosen = select.value;
  const all = chosen && !values.includes(chosen) ? [chosen, ...values] : values;
  const options = all.map((value) => element("option", { value, text: title(value) }));
  select.replaceChildren(select.options[0], ...options);
  select.value = chosen;
}

function showHours({ day, hours }) {
  by("timeline").hidden = day === "";
  by("hours-day").textContent = day === "" ? "" : dayName(day);
  const most = Math.max(1, ...hours);
  if (bars.childElementCount === 0) {
    bars.append(...hours.map((_, number) => element("button", { type: "button", "data-hour": number },
      element("span", { class: "bar" }), element("span", { class: "hour", text: String(number) }))));
  }
  hours.forEach((count, number) => { // updates in place, so that a bar keeps the focus
    const bar = bars.children[number];
    const captures = count === 1 ? "1 capture" : `${count} captures`;
    bar.setAttribute("aria-label", `${number}:00 to ${number + 1}:00: ${captures}`);
    bar.setAttribute("aria-pressed", String(hour === number));
    bar.title = captures;
    bar.firstChild.style.height = `${count === 0 ? 0 : Math.max(6, (100 * count) / most)}%`;
  });
}
