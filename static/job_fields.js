// Lists and unions in the form of a job: add, remove, move and paste items, choose an alternative.
// The server sends each blank item and alternative as a template; here they only get their number.
import { byId } from "./dom.js";

const ACTS = [
  ["[data-add]", ({ list }) => firstField(addItem(list))?.focus()],
  ["[data-add-lines]", ({ list, pressed }) => addLines(list, pressed.closest("details").querySelector("textarea"))],
  ["[data-up]", ({ item, pressed }) => move(item, item.previousElementSibling, "before", pressed)],
  ["[data-down]", ({ item, pressed }) => move(item, item.nextElementSibling, "after", pressed)],
  ["[data-remove]", ({ item }) => remove(item)],
  ["[data-use-default]", ({ pressed }) => useDefault(pressed)],
];
const fields = byId("job-fields");
const hidden = new WeakMap(); // of a union: what was typed into alternatives that are not shown

function say(text) {
  byId("job-status").textContent = text;
}

function firstField(item) {
  return item.querySelector("input:not([type=hidden]), select, textarea");
}

// --- lists

function itemsOf(list) {
  return list.querySelector(":scope > ol.items");
}

// Names go `<list>-<number>-...`; the numbers need not follow each other: the order on the page counts.
function nextNumber(list) {
  const begin = `${list.dataset.list}-`;
  const named = [...list.querySelectorAll(`:scope > ol.items [name^="${begin}"]`)];
  const numbers = named.map((field) => parseInt(field.name.slice(begin.length), 10));
  return Math.max(-1, ...numbers.filter((number) => number >= 0)) + 1;
}

export function addItem(list) {
  const name = list.dataset.list;
  const template = list.querySelector(":scope > template[data-item]");
  const html = template.innerHTML.replaceAll(`${name}-X`, `${name}-${nextNumber(list)}`);
  itemsOf(list).insertAdjacentHTML("beforeend", html);
  noteLength(list);
  return itemsOf(list).lastElementChild;
}

// An optional list without items is left out of the job; one that is required is then empty.
function noteLength(list) {
  const mark = list.querySelector(`:scope > input[name="${list.dataset.list}-list"]`);
  mark.value = itemsOf(list).children.length || list.hasAttribute("data-required") ? "1" : "";
}

function setLine(item, line) {
  const radio = item.querySelector(`input[type=radio][value="${CSS.escape(line)}"]`);
  const field = item.querySelector("input:not([type=hidden]):not([type=radio]), select, textarea");
  if (radio) radio.checked = true;
  else if (field) field.value = line;
}

function addLines(list, area) {
  const lines = area.value
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
  for (const line of lines) setLine(addItem(list), line);
  area.value = "";
  say(`${lines.length} items were added.`);
}

function move(item, other, place, pressed) {
  if (!other) return;
  other[place](item);
  pressed.focus();
  say(`Moved to place ${[...item.parentElement.children].indexOf(item) + 1}.`);
}

export function removeItem(item) {
  const list = item.closest("[data-list]");
  item.remove();
  if (list) noteLength(list);
}

function remove(item) {
  const list = item.closest("[data-list]");
  const neighbour = item.nextElementSibling || item.previousElementSibling;
  removeItem(item);
  const next = neighbour
    ? neighbour.querySelector(":scope > .buttons [data-remove]")
    : list.querySelector(":scope > .row [data-add]");
  next.focus();
  say("Removed.");
}

// --- defaults, groups, unions

// Fields of a group that is not used are not sent; they keep what was typed.
function useGroup(box) {
  box.closest(".group").querySelector(":scope > .switched").disabled = !box.checked;
  if (box.checked) firstField(box.closest(".group").querySelector(":scope > .switched"))?.focus();
}

function useDefault(pressed) {
  const name = pressed.dataset.useDefault;
  const shown = byId(name);
  const block = shown.matches("fieldset") ? shown : shown.closest(".field");
  block.outerHTML = fields.querySelector(`template[data-default="${name}"]`).innerHTML;
  pressed.closest("p").remove();
  firstField(byId(name).closest("fieldset, .field"))?.focus();
}

function choose(union, index) {
  const shown = union.querySelector(":scope > [data-chosen]");
  const kept = hidden.get(union) || new Map();
  hidden.set(union, kept);
  const old = document.createDocumentFragment();
  old.append(...shown.childNodes);
  kept.set(shown.dataset.chosen, old);
  shown.dataset.chosen = index;
  const template = union.querySelector(`:scope > template[data-option="${index}"]`);
  if (kept.has(index)) shown.append(kept.get(index));
  else if (template) shown.innerHTML = template.innerHTML;
}

// Somebody may have chosen before this script was there.
function catchUp(union) {
  const { value } = union.querySelector(`[name="${union.dataset.union}-choice"]`);
  if (value !== union.querySelector(":scope > [data-chosen]").dataset.chosen) choose(union, value);
}

// What was wrong is being changed: the message beside it is about what was.
function forgetProblems(changed) {
  const marked = "[aria-invalid], [data-invalid]";
  for (let wrong = changed.closest(marked); wrong; wrong = wrong.parentElement.closest(marked)) {
    wrong.removeAttribute("aria-invalid");
    wrong.removeAttribute("data-invalid");
    byId(`${wrong.id}-err`)?.remove();
  }
}

function onClick(event) {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  forgetProblems(pressed);
  const [, act] = ACTS.find(([selector]) => pressed.matches(selector)) ?? [];
  act?.({ pressed, list: pressed.closest("[data-list]"), item: pressed.closest("li") });
}

function onChange(event) {
  forgetProblems(event.target);
  if (event.target.matches("[data-switch]")) useGroup(event.target);
  const union = event.target.closest("[data-union]");
  if (union && event.target.name === `${union.dataset.union}-choice`) choose(union, event.target.value);
}

if (fields) {
  fields.addEventListener("input", (event) => forgetProblems(event.target));
  fields.addEventListener("click", onClick);
  fields.addEventListener("change", onChange);
  for (const union of fields.querySelectorAll("[data-union]")) catchUp(union);
}
