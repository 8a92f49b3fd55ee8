// Draws, moves and reshapes polygons and lines over the picture, by mouse, finger, pen or keyboard.
//
// A shape is {kind: "zone" | "mask" | "privacy" | "line", name, was, points}, with points [x, y] in 0..1 of the
// picture. `was` identifies the shape in the file: a name or a mask's index; null for a new shape.

import { element } from "/static/api.js";
import { Labels } from "/static/labels.js";

const NEAR_PX = 14; // a click within this distance of the first corner closes the polygon
const DRAG_PX = 6; // a shorter movement is a click
const STEP = 0.005; // share of the picture that an arrow key moves; ten times that with Shift
const SQUARE = [[0.35, 0.35], [0.65, 0.35], [0.65, 0.65], [0.35, 0.65]];
const ACROSS = [[0.3, 0.5], [0.7, 0.5]];
const LEAST = { zone: 3, mask: 3, privacy: 3, line: 2 }; // corners
export const TITLES = { zone: "Zone", mask: "Mask", privacy: "Privacy mask", line: "Line" };
export const isNamed = ({ kind }) => kind === "zone" || kind === "line";
const ARROW_PX = 34; // length of the arrow of a line
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const clamp = (value) => Math.min(1, Math.max(0, value));
const rounded = (value) => Math.round(clamp(value) * 1e4) / 1e4;

export class Editor {
  /** onChange: called after a change of the shapes or the selection. onMode: called with the kind
   *  of shape that is being drawn, or null. */
  constructor(svg, { onChange, onMode }) {
    this.svg = svg;
    this.group = svg.querySelector("#shapes");
    this.onChange = onChange;
    this.onMode = onMode;
    this.shapes = [];
    this.selected = null; // a shape
    this.corner = null; // index of its selected corner
    this.mode = null; // kind of the shape that is being drawn
    this.draft = []; // its corners so far
    this.hidden = new Set(); // kinds that are not shown
    this.names = []; // rectangles of the names, which other names leave free
    this.drag = null;
    this.size = [16, 9];
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.release(event));
    svg.addEventListener("pointercancel", () => { this.drag = null; this.render(); });
    svg.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => this.drawingKey(event));
    new ResizeObserver(() => this.render()).observe(svg);
  }

  setSize(width, height) {
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.render();
  }

  setShapes(shapes) {
    this.shapes = shapes;
    this.select(null);
  }

  select(shape, corner = null) {
    this.selected = shape;
    this.corner = corner;
    this.changed();
  }

  remove(shape) {
    this.shapes = this.shapes.filter((other) => other !== shape);
    this.select(null);
  }

  canRemoveCorner() {
    return this.corner !== null && this.selected?.points.length > LEAST[this.selected.kind];
  }

  removeCorner() {
    if (!this.canRemoveCorner()) return;
    this.selected.points.splice(this.corner, 1);
    this.select(this.selected);
  }

  /** Exchanges the ends of a line, so that its arrow points to the other side. */
  reverse(line) {
    line.points.reverse();
    this.select(line);
  }

  begin(kind) {
    this.mode = kind;
    this.draft = [];
    this.select(null);
    this.onMode(kind);
  }

  cancel() {
    this.mode = null;
    this.draft = [];
    this.render();
    this.onMode(null);
  }

  /** Ends drawing; too few corners become a square or a line in the middle, ready to be moved. */
  finish(points = this.draft) {
    const kind = this.mode;
    const usable = points.length >= LEAST[kind] ? points : kind === "line" ? ACROSS : SQUARE;
    const shape = { kind, name: "", was: null, points: usable.map((p) => p.map(rounded)) };
    if (isNamed(shape)) shape.name = this.freeName(kind);
    this.shapes.push(shape);
    this.cancel();
    this.select(shape);
  }

  freeName(kind) {
    const taken = new Set(this.shapes.map((shape) => shape.name));
    let number = 1;
    while (taken.has(`${kind}-${number}`)) number += 1;
    return `${kind}-${number}`;
  }

  at(event) {
    const frame = this.svg.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width),
      clamp((event.clientY - frame.top) / frame.height)];
  }

  /** Distance on the screen, in px. */
  distance([x0, y0], [x1, y1]) {
    const frame = this.svg.getBoundingClientRect();
    return Math.hypot((x1 - x0) * frame.width, (y1 - y0) * frame.height);
  }

  press(event) {
    if (event.button !== 0 || this.drag) return;
    const point = this.at(event);
    const { shape: number, corner, edge } = event.target.dataset;
    const shape = number === undefined ? null : this.shapes[Number(number)];
    this.drag = { from: point, last: point, moved: false };
    if (this.mode) {
      this.drag.target = "draw";
    } else if (corner !== undefined) {
      Object.assign(this.drag, { target: "corner", shape, corner: Number(corner) });
      this.select(shape, Number(corner));
    } else if (edge !== undefined) {
      shape.points.splice(Number(edge) + 1, 0, point.map(rounded));
      Object.assign(this.drag, { target: "corner", shape, corner: Number(edge) + 1 });
      this.select(shape, Number(edge) + 1);
    } else {
      this.drag.target = shape !== null && shape === this.selected ? "shape" : "none";
      this.drag.shape = shape;
      this.select(shape);
    }
    if (this.drag.target !== "none") {
      this.svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  }

  move(event) {
    const point = this.at(event);
    if (this.drag === null) {
      if (this.mode && this.draft.length) this.render(point);
      return;
    }
    const drag = this.drag;
    drag.moved ||= this.distance(drag.from, point) > DRAG_PX;
    if (!drag.moved) return;
    if (drag.target === "corner") drag.shape.points[drag.corner] = point.map(rounded);
    if (drag.target === "shape") this.shift(drag.shape, point[0] - drag.last[0], point[1] - drag.last[1]);
    drag.last = point;
    this.render(point);
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (drag === null) return;
    const point = this.at(event);
    if (drag.target === "draw") this.place(drag, point);
    else if (drag.moved && drag.shape) {
      if (drag.target === "shape") drag.shape.points = drag.shape.points.map((p) => p.map(rounded));
      this.changed();
    }
  }

  /** A click adds a corner; dragging before the first corner draws a rectangle or a line. */
  place(drag, point) {
    if (this.mode === "line") {
      if (drag.moved && this.draft.length === 0) this.draft.push(drag.from);
      this.draft.push(point);
      if (this.draft.length === 2) this.finish();
      else this.render();
    } else if (drag.moved && this.draft.length === 0) {
      this.finish(rectangle(drag.from, point));
    } else if (this.draft.length >= 3 && this.distance(this.draft[0], point) < NEAR_PX) {
      this.finish();
    } else {
      this.draft.push(point);
      this.render();
    }
  }

  /** Moves a shape up to the edge of the picture, so that it keeps its form. */
  shift(shape, dx, dy) {
    const xs = shape.points.map((p) => p[0]);
    const ys = shape.points.map((p) => p[1]);
    const right = Math.min(Math.max(dx, -Math.min(...xs)), 1 - Math.max(...xs));
    const down = Math.min(Math.max(dy, -Math.min(...ys)), 1 - Math.max(...ys));
    shape.points = shape.points.map(([x, y]) => [x + right, y + down]);
  }

  key(event) {
    const { shape: number, corner } = event.target.dataset;
    if (this.mode || number === undefined) return;
    const shape = this.shapes[Number(number)];
    const step = ARROWS[event.key];
    const far = event.shiftKey ? 10 : 1;
    if (event.key === "Enter" || event.key === " ") this.select(shape, corner ? Number(corner) : null);
    else if (event.key === "Escape") this.select(null);
    else if ((event.key === "Delete" || event.key === "Backspace") && corner !== undefined) {
      this.select(shape, Number(corner));
      this.removeCorner();
    } else if (event.key === "Delete") this.remove(shape);
    else if (step && corner !== undefined) {
      const [x, y] = shape.points[corner];
      shape.points[corner] = [rounded(x + step[0] * STEP * far), rounded(y + step[1] * STEP * far)];
      this.select(shape, Number(corner));
    } else if (step) {
      this.shift(shape, step[0] * STEP * far, step[1] * STEP * far);
      shape.points = shape.points.map((p) => p.map(rounded));
      this.select(shape);
    } else return;
    event.preventDefault();
  }

  drawingKey(event) {
    if (!this.mode || event.target.closest?.("input")) return;
    if (event.key === "Escape") this.cancel();
    else if (event.key === "Enter" && !event.target.closest?.("button")) this.finish();
    else return;
    event.preventDefault();
  }

  changed() {
    this.render();
    this.onChange();
  }

  /** Draws everything. pointer: the position to which the line from the last corner leads. */
  render(pointer = null) {
    const focused = this.svg.contains(document.activeElement) ? document.activeElement.dataset : null;
    const unit = this.size[0] / (this.svg.clientWidth || this.size[0]); // pixels of the picture
    this.svg.style.setProperty("--unit", unit);
    this.svg.classList.toggle("drawing", this.mode !== null);
    const labels = new Labels(this.size, unit);
    this.names = labels.taken;
    const drawn = this.shapes.flatMap((shape, number) =>
      this.hidden.has(shape.kind) ? [] : this.drawnShape(shape, number, unit, labels));
    if (this.mode) drawn.push(...this.drawnDraft(pointer, unit));
    this.group.replaceChildren(...drawn);
    if (focused?.shape !== undefined) {
      const corner = focused.corner === undefined ? ":not([data-corner])" : `[data-corner="${focused.corner}"]`;
      this.group.querySelector(`[data-shape="${focused.shape}"]${corner}`)?.focus();
    }
  }

  scaled([x, y]) {
    return [x * this.size[0], y * this.size[1]];
  }

  drawnShape(shape, number, unit, labels) {
    const { kind } = shape;
    const isSelected = shape === this.selected;
    const points = shape.points.map((point) => this.scaled(point));
    const title = `${TITLES[kind]} ${shape.name}`.trim();
    const drawn = [element(kind === "line" ? "polyline" : "polygon", {
      points: points.join(" "), class: kind + (isSelected ? " selected" : ""),
      "data-shape": number, tabindex: 0, role: "button", "aria-label": title,
      "aria-pressed": String(isSelected),
    })];
    if (kind === "line") drawn.push(...lineParts(points, number, unit));
    const [left, top] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
    const bottom = Math.max(...points.map((point) => point[1]));
    const name = isNamed(shape) ? shape.name : TITLES[kind].toLowerCase();
    const [x, y] = labels.place([left, top, left, bottom], name);
    drawn.push(element("text", { x, y, class: kind, text: name }));
    if (!isSelected || this.mode) return drawn;
    if (kind !== "line") points.forEach(([x0, y0], corner) => {
      const [x1, y1] = points[(corner + 1) % points.length];
      drawn.push(element("circle", {
        cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, r: 4.5 * unit, class: "edge",
        "data-shape": number, "data-edge": corner,
      }));
    });
    points.forEach(([cx, cy], corner) => drawn.push(element("circle", {
      cx, cy, r: 7 * unit, class: "corner" + (corner === this.corner ? " selected" : ""),
      "data-shape": number, "data-corner": corner, tabindex: 0, role: "button",
      "aria-label": `Corner ${corner + 1} of ${title}`,
    })));
    return drawn;
  }

  drawnDraft(pointer, unit) {
    if (this.drag?.moved && this.draft.length === 0 && this.mode !== "line") {
      const points = rectangle(this.drag.from, this.drag.last).map((p) => this.scaled(p));
      return [element("polygon", { points: points.join(" "), class: `${this.mode} selected` })];
    }
    const begun = this.drag?.moved && this.draft.length === 0 ? [this.drag.from] : this.draft;
    const points = (pointer && begun.length ? [...begun, pointer] : begun)
      .map((p) => this.scaled(p));
    return [
      element("polyline", { points: points.join(" "), class: `${this.mode} selected` }),
      ...this.draft.map((p, number) => {
        const [cx, cy] = this.scaled(p);
        return element("circle", { cx, cy, r: (number ? 5 : 8) * unit, class: "corner" });
      }),
    ];
  }
}

/** A broad transparent stroke to hit, and an arrow to the right of the line: `in`. */
function lineParts([[x0, y0], [x1, y1]], number, unit) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [right, down] = [-(y1 - y0) / length, (x1 - x0) / length];
  const at = (along, aside) => [
    (x0 + x1) / 2 + right * along * unit - down * aside * unit,
    (y0 + y1) / 2 + down * along * unit + right * aside * unit,
  ];
  const tip = at(ARROW_PX, 0);
  const arrow = [at(0, 0), tip, at(ARROW_PX - 9, 6), tip, at(ARROW_PX - 9, -6)];
  return [
    element("polyline", { points: arrow.join(" "), class: "line arrow" }),
    element("polyline", { points: `${x0},${y0} ${x1},${y1}`, class: "hit", "data-shape": number }),
  ];
}

function rectangle([x0, y0], [x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}
