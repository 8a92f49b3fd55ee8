// Requests to the server of this page. Every failure throws a RequestError.

export class RequestError extends Error {
  /** status: the HTTP status, 0 without a response. problems: one sentence each. */
  constructor(status, problems) {
    super(problems.join("\n"));
    this.status = status;
    this.problems = problems;
  }
}

/** Sends `body` as JSON and resolves to the JSON of the response. */
export async function ask(path, { method = "GET", body } = {}) {
  const options = { method };
  if (method !== "GET") {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new RequestError(0, ["no response from edge view: is it still running?"]);
  }
  const data = await response.json().catch(() => null);
  if (!response.ok) {
    throw new RequestError(response.status,
      data?.problems ?? [`edge view responded with HTTP status ${response.status}`]);
  }
  return data;
}

/** A blob of the bytes that JSON carries as base64. */
export function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], { type });
}

/** Resolves when the page is visible. */
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

/** Calls `action`, and again `ms` after it has ended, for as long as the page is visible. */
export async function repeat(ms, action) {
  for (;;) {
    await visible();
    await action();
    await sleep(ms);
  }
}

const SVG = new Set(["svg", "g", "rect", "text", "polygon", "polyline", "line", "path", "circle"]);

/** Creates an element. attributes: also `text`, and functions as listeners by event name. */
export function element(tag, attributes = {}, ...children) {
  const isSvg = SVG.has(tag);
  const created = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") created.addEventListener(name, value);
    else if (name === "text") created.textContent = value;
    else if (typeof value === "boolean") created.toggleAttribute(name, value);
    else created.setAttribute(name, value);
  }
  created.append(...children);
  return created;
}
