// Lists and unions in the form of a job: add, remove, move and paste items, choose an alternative.
// The server sends each blank item and alternative as a template; here they only get their number.
"use strict";
(() => {
  const fields = document.getElementById("job-fields");
  if (!fields) return;
  const status = document.getElementById("job-status");
  const hidden = new WeakMap(); // of a union: what was typed into alternatives that are not shown

  function say(text) { status.textContent = text; }

  function itemsOf(list) { return list.querySelector(":scope > ol.items"); }

  // Names go `<list>-<number>-...`; the numbers need not follow each other: the order on the page counts.
  function nextNumber(list) {
    const name = list.dataset.list;
    const numbers = [...list.querySelectorAll(`:scope > ol.items [name^="${name}-"]`)].map((field) => parseInt(field.name.slice(name.length + 1), 10));
    return Math.max(-1, ...numbers.filter((number) => number >= 0)) + 1;
  }

  function addItem(list) {
    const name = list.dataset.list;
    const template = list.querySelector(":scope > template[data-item]");
    itemsOf(list).insertAdjacentHTML("beforeend", template.innerHTML.replaceAll(`${name}-X`, `${name}-${nextNumber(list)}`));
    noteLength(list);
    return itemsOf(list).lastElementChild;
  }

  // An optional list without items is left out of the job; one that is required is then empty.
  function noteLength(list) {
    const mark = list.querySelector(`:scope > input[name="${list.dataset.list}-list"]`);
    mark.value = itemsOf(list).children.length || list.hasAttribute("data-required") ? "1" : "";
  }

  function firstField(item) { return item.querySelector("input:not([type=hidden]), select, textarea"); }

  function setLine(item, line) {
    const radio = item.querySelector(`input[type=radio][value="${CSS.escape(line)}"]`);
    const field = item.querySelector("input:not([type=hidden]):not([type=radio]), select, textarea");
    if (radio) radio.checked = true;
    else if (field) field.value = line;
  }

  function addLines(list, area) {
    const lines = area.value.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    for (const line of lines) setLine(addItem(list), line);
    area.value = "";
    say(`${lines.length} items were added.`);
  }

  function move(item, other, place, button) {
    if (!other) return;
    other[place](item);
    button.focus();
    say(`Moved to place ${[...item.parentElement.children].indexOf(item) + 1}.`);
  }

  function remove(item) {
    const list = item.closest("[data-list]");
    const neighbour = item.nextElementSibling || item.previousElementSibling;
    item.remove();
    noteLength(list);
    (neighbour ? neighbour.querySelector(":scope > .buttons [data-remove]") : list.querySelector(":scope > .row [data-add]")).focus();
    say("Removed.");
  }

  function useDefault(button) {
    const name = button.dataset.useDefault;
    const shown = document.getElementById(name);
    const block = shown.matches("fieldset") ? shown : shown.closest(".field");
    block.outerHTML = fields.querySelector(`template[data-default="${name}"]`).innerHTML;
    button.closest("p").remove();
    const first = firstField(document.getElementById(name).closest("fieldset, .field"));
    if (first) first.focus();
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

  // What was wrong is being changed: the message beside it is about what was.
  function forgetProblems(element) {
    const marked = "[aria-invalid], [data-invalid]";
    for (let wrong = element.closest(marked); wrong; wrong = wrong.parentElement.closest(marked)) {
      wrong.removeAttribute("aria-invalid");
      wrong.removeAttribute("data-invalid");
      document.getElementById(`${wrong.id}-err`)?.remove();
    }
  }

  fields.addEventListener("input", (event) => forgetProblems(event.target));
  fields.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    forgetProblems(button);
    const list = button.closest("[data-list]");
    const item = button.closest("li");
    if (button.matches("[data-add]")) firstField(addItem(list))?.focus();
    else if (button.matches("[data-add-lines]")) addLines(list, button.closest("details").querySelector("textarea"));
    else if (button.matches("[data-up]")) move(item, item.previousElementSibling, "before", button);
    else if (button.matches("[data-down]")) move(item, item.nextElementSibling, "after", button);
    else if (button.matches("[data-remove]")) remove(item);
    else if (button.matches("[data-use-default]")) useDefault(button);
  });
  fields.addEventListener("change", (event) => {
    forgetProblems(event.target);
    const union = event.target.closest("[data-union]");
    if (union && event.target.name === `${union.dataset.union}-choice`) choose(union, event.target.value);
  });
})();
