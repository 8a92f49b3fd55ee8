// What can be tuned, as controls: zones by name, the zones of rules, sliders for motion.

import { element } from "/static/api.js";

const STEPS = 1000; // of a slider, over its whole range

/** Names of the zones and masks, to be selected, named and removed. */
export function listShapes(list, editor, { onInput, onRename }) {
  let masks = 0;
  list.replaceChildren(...editor.shapes.map((shape) => {
    const isMask = shape.kind === "mask";
    masks += isMask;
    const title = isMask ? `Mask ${masks}` : shape.name;
    const name = isMask
      ? element("span", { text: title })
      : element("input", {
        value: shape.name, "aria-label": "Name of the zone", spellcheck: "false",
        focus: () => editor.selected !== shape && editor.select(shape),
        input: (event) => {
          onRename(shape.name, event.target.value);
          shape.name = event.target.value;
          editor.render();
          onInput();
        },
      });
    return element("li", { class: shape.kind + (shape === editor.selected ? " selected" : "") },
      name,
      element("button", {
        type: "button", text: `${shape.points.length} corners`, class: "quiet",
        "aria-label": `Select ${title}`, click: () => editor.select(shape),
      }),
      element("button", {
        type: "button", text: "Delete", class: "quiet", "aria-label": `Delete ${title}`,
        click: () => editor.remove(shape),
      }));
  }));
}

/** For each rule, which zones it asks for. */
export function listRules(container, rules, zones, onInput) {
  container.replaceChildren(...rules.map((rule) => {
    const where = element("p", { class: "about" });
    const tell = () => {
      where.textContent = rule.zones.length
        ? `Triggers only in ${rule.zones.join(" or ")}.`
        : "Triggers anywhere in the picture.";
    };
    tell();
    const what = rule.labels.length ? ` (${rule.labels.join(", ")})` : "";
    return element("fieldset", {}, element("legend", { text: rule.name + what }),
      ...zones.map((zone) => element("label", { class: "chip" },
        element("input", {
          type: "checkbox", checked: rule.zones.includes(zone),
          change: (event) => {
            rule.zones = zones.filter((name) =>
              name === zone ? event.target.checked : rule.zones.includes(name));
            tell();
            onInput();
          },
        }), zone)),
      where);
  }));
}

/** A slider and a number for each; `motion` holds the values and is written to. */
export function listSliders(container, sliders, motion, onInput) {
  container.replaceChildren(...sliders.map((slider) => {
    const key = slider.key;
    const shown = (value) => String(Number(Number(value).toPrecision(3)));
    const range = element("input", {
      type: "range", min: 0, max: STEPS, step: 1, id: `range-${key}`,
      "aria-describedby": `about-${key}`,
    });
    const number = element("input", {
      type: "number", step: "any", id: `number-${key}`, "aria-label": slider.label,
    });
    const reset = element("button", {
      type: "button", class: "quiet", text: "reset",
      "aria-label": `${slider.label}: back to ${shown(slider.default)}`,
      click: () => { number.value = slider.default; set(slider.default); },
    });
    const show = (value) => {
      reset.hidden = value === slider.default;
      range.value = Math.round(placeOf(slider, value) * STEPS);
      range.setAttribute("aria-valuetext", `${shown(value)} ${slider.unit}`);
    };
    const set = (value) => {
      motion[key] = value;
      show(value);
      onInput();
    };
    range.addEventListener("input", () => {
      const value = Number(shown(valueAt(slider, range.value / STEPS)));
      number.value = value;
      set(value);
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
  }));
}

function placeOf({ low, high, log }, value) {
  const place = log
    ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  return Math.min(1, Math.max(0, place));
}

function valueAt({ low, high, log }, place) {
  return log ? low * (high / low) ** place : low + (high - low) * place;
}
