// The controls of the settings: names of shapes, and sliders for motion.

import { element } from "/static/api.js";
import { isNamed, TITLES } from "/static/editor.js";

const STEPS = 1000; // of a slider over its whole range

let listed = []; // the shapes in the list

/** Lists zones, masks and lines, to select, name and delete them. onInput: called when a name changes. */
export function listShapes(list, editor, onInput) {
  const { shapes } = editor;
  const isSame = list.children.length === shapes.length && shapes.every((s, n) => s === listed[n]);
  if (!isSame) {
    listed = [...shapes];
    list.replaceChildren(...shapes.map((shape) => {
      const name = isNamed(shape) ? nameField(shape, editor, onInput) : element("span");
      return element("li", { class: shape.kind }, name,
        element("button", {
          type: "button", class: "quiet",
          click: () => (shape.kind === "line" ? editor.reverse(shape) : editor.select(shape)),
        }),
        element("button", {
          type: "button", class: "quiet", text: "Delete", click: () => editor.remove(shape),
        }));
    }));
  }
  const counts = {};
  shapes.forEach((shape, number) => { // updates in place: a field that has the focus keeps it
    const item = list.children[number];
    const [name, select, remove] = item.children;
    counts[shape.kind] = (counts[shape.kind] ?? 0) + 1;
    const title = isNamed(shape) ? shape.name : `${TITLES[shape.kind]} ${counts[shape.kind]}`;
    if (!isNamed(shape)) name.textContent = title;
    item.classList.toggle("selected", shape === editor.selected);
    const isLine = shape.kind === "line";
    select.textContent = isLine ? "reverse" : `${shape.points.length} corners`;
    select.setAttribute("aria-label", isLine ? `Reverse ${title}` : `Select ${title}, ${select.textContent}`);
    remove.setAttribute("aria-label", `Delete ${title}`);
  });
}

function nameField(shape, editor, onInput) {
  return element("input", {
    value: shape.name, "aria-label": `Name of the ${TITLES[shape.kind].toLowerCase()}`, spellcheck: "false",
    focus: () => editor.selected !== shape && editor.select(shape),
    input: (event) => {
      shape.name = event.target.value;
      editor.render();
      onInput();
    },
  });
}

/** Lists a slider and a number field for each setting, and writes the values to `motion`. */
export function listSliders(container, sliders, motion, onInput) {
  container.replaceChildren(...sliders.map((slider) => sliderRow(slider, motion, onInput)));
}

const rounded = (value) => String(Number(Number(value).toPrecision(3)));

function sliderRow(slider, motion, onInput) {
  const key = slider.key;
  const range = element("input", {
    type: "range", min: 0, max: STEPS, step: 1, id: `range-${key}`,
    "aria-describedby": `about-${key}`,
  });
  const number = element("input", {
    type: "number", step: "any", id: `number-${key}`, "aria-label": slider.label,
  });
  const reset = element("button", {
    type: "button", class: "quiet", text: "reset",
    "aria-label": `Reset ${slider.label} to ${rounded(slider.default)}`,
    click: () => { number.value = slider.default; set(slider.default); },
  });
  const show = (value) => {
    reset.hidden = value === slider.default;
    range.value = Math.round(placeOf(slider, value) * STEPS);
    range.setAttribute("aria-valuetext", `${rounded(value)} ${slider.unit}`);
  };
  const set = (value) => {
    motion[key] = value;
    show(value);
    onInput();
  };
  range.addEventListener("input", () => {
    number.value = rounded(valueAt(slider, range.value / STEPS));
    set(Number(number.value));
  });
  number.addEventListener("input", () => number.value !== "" && set(Number(number.value)));
  number.value = motion[key];
  show(motion[key]);
  return element("div", { class: "slider", "data-key": `motion.${key}` },
    element("label", { for: `range-${key}`, text: slider.label }),
    reset,
    element("span", { class: "value" }, number, element("span", { text: slider.unit })),
    range,
    element("p", { class: "about", id: `about-${key}`, text: `${slider.description}.` }));
}

/** The place on the slider, 0 to 1, of a value. */
function placeOf({ low, high, log }, value) {
  const place = log
    ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  return Math.min(1, Math.max(0, place));
}

/** The value at a place on the slider. */
function valueAt({ low, high, log }, place) {
  return log ? low * (high / low) ** place : low + (high - low) * place;
}
