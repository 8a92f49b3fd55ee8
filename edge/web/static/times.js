// Times as the camera's clock shows them, whatever the zone of the browser.

let zone = { name: "UTC", offset_min: 0 };

/** Sets the camera's present zone; its name is in the page where times are. */
export function setZone(latest) {
  zone = latest;
  for (const element of document.querySelectorAll(".zone-name")) element.textContent = zoneName();
}

function zoneName() {
  const minutes = Math.abs(zone.offset_min);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const offset = `UTC${zone.offset_min < 0 ? "−" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
  return /^[A-Z]/.test(zone.name) && zone.name !== "UTC" ? `${zone.name}, ${offset}` : offset;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DATE = { weekday: "short", day: "numeric", month: "short" };

const shown = (date, options) => date.toLocaleString([], { ...options, timeZone: "UTC" });

/** The local date of the camera now, as YYYY-MM-DD. */
export const today = () => new Date(Date.now() + zone.offset_min * 60000).toISOString().slice(0, 10);

/** A local time with zone, as sidecars have it: the clock, and the date unless it is today's. */
export function whenLocal(text) {
  const date = new Date(`${text.slice(0, 19)}Z`);
  const clock = shown(date, CLOCK);
  if (text.slice(0, 10) === today()) return clock;
  const year = text.slice(0, 4) === today().slice(0, 4) ? {} : { year: "numeric" };
  return `${shown(date, { ...DATE, ...year })}, ${clock}`;
}

/** An instant in any zone, such as those of messages in UTC, by the camera's clock. */
export const clockAt = (text) => shown(new Date(Date.parse(text) + zone.offset_min * 60000), CLOCK);

/** A day, YYYY-MM-DD, for people. */
export function dayName(day) {
  const name = shown(new Date(`${day}T00:00Z`), { ...DATE, year: "numeric" });
  return day === today() ? `Today, ${name}` : name;
}
