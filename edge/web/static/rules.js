// The rules: made, changed and deleted. The server checks every value when they are saved.

import { element } from "/static/api.js";

const NEW = { labels: ["person"], zones: [], schedule: [], actions: ["still", "clip"], min_score: 0.5, cooldown_s: 10, was: null };
const FIELDS = [ // key, label, kind, explanation
  ["name", "Name", "text", "In topics and names of files."],
  ["labels", "Labels", "list", "Labels or groups (animal, vehicle), or motion, with commas between; empty = any."],
  ["schedule", "Active", "list", "Spans such as 22:00-06:00 or sunset-30m - sunrise+1h; empty = always."],
  ["min_score", "Lowest score", "number", "From 0 to 1."],
  ["cooldown_s", "Pause", "number", "Seconds between two events of this rule."],
];

let open = new Set(); // the rules whose fields are shown

/** A rule of the server as this page has it. zones: the shapes of its names. */
export const ruleOf = (rule, zones) => ({
  ...rule, was: rule.name, zones: rule.zones.map((name) => zones.find((zone) => zone.name === name)),
});

/** A rule as the server takes it. */
export const editOf = (rule) => ({ ...rule, zones: rule.zones.map((zone) => zone.name) });

/** A new rule with a free name, whose fields are shown. */
export function newRule(rules) {
  const taken = new Set(rules.map((rule) => rule.name));
  let number = 1;
  while (taken.has(`rule-${number}`)) number += 1;
  const rule = { name: `rule-${number}`, ...structuredClone(NEW) };
  open.add(rule);
  return rule;
}

/** Lists the rules, each with a choice of `zones`, which are shapes as the zones of a rule are.
 *  onInput: called after a change of a value. onDelete: called with the rule to delete. */
export function listRules(container, rules, zones, onInput, onDelete) {
  open = new Set(rules.filter((rule) => open.has(rule)));
  container.replaceChildren(...rules.map((rule, number) => {
    const where = element("p", { class: "about" });
    const title = element("span", { class: "name" });
    const show = () => {
      title.textContent = `${rule.name} (${rule.labels.join(", ") || "any label"})`;
      where.textContent = rule.zones.length
        ? `Triggers only in ${rule.zones.map((zone) => zone.name).join(" or ")}.`
        : "Triggers anywhere in the picture.";
    };
    const changed = () => { show(); onInput(); };
    show();
    const details = element("details", {
      open: open.has(rule), toggle: () => (details.open ? open.add(rule) : open.delete(rule)),
    }, element("summary", {}, title), fields(rule, number, changed, () => onDelete(rule)));
    const chips = zones.map((zone) => chip(zone.name, rule.zones.includes(zone), (on) => {
      rule.zones = rule.zones.filter((other) => other !== zone);
      if (on) rule.zones.push(zone);
      changed();
    }));
    return element("div", { class: "rule", role: "group", "aria-label": `Rule ${rule.name}` }, details,
      element("div", { class: "chips" }, ...chips), where);
  }));
}

function fields(rule, number, changed, remove) {
  const actions = ["still", "clip"].map((kind) => chip(kind, rule.actions.includes(kind), (on) => {
    rule.actions = rule.actions.filter((other) => other !== kind);
    if (on) rule.actions.push(kind);
    changed();
  }));
  return element("div", { class: "fields" },
    ...FIELDS.map((field) => fieldOf(rule, `triggers[${number}]`, field, changed)),
    element("div", { class: "chips" }, ...actions),
    element("button", { type: "button", text: "Delete rule", "aria-label": `Delete rule ${rule.name}`, click: remove }));
}

/** data-key: by which messages of the server name the value. */
function fieldOf(rule, prefix, [key, label, kind, about], changed) {
  const id = `${prefix}.${key}`;
  const value = kind === "list" ? rule[key].join(", ") : rule[key];
  const attributes = kind === "number" ? { type: "number", step: "any", min: 0 } : { type: "text", spellcheck: "false" };
  return element("div", { class: "field", "data-key": id },
    element("label", { for: id, text: label }),
    element("input", {
      id, value, "aria-describedby": `about ${id}`.replaceAll(" ", "-"), ...attributes,
      input: ({ target }) => {
        if (kind === "number" && target.value === "") return;
        rule[key] = kind === "list" ? listOf(target.value) : kind === "number" ? Number(target.value) : target.value;
        changed();
      },
    }),
    element("p", { class: "about", id: `about-${id}`, text: about }));
}

const listOf = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function chip(text, checked, change) {
  return element("label", { class: "chip" },
    element("input", { type: "checkbox", checked, change: ({ target }) => change(target.checked) }), text);
}
