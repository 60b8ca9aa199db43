// The inputs of a form in their author's order, or required ones first, as this user likes it.
import { byId } from "./dom.js";

const KEY = "cwl-required-first";
const fields = byId("job-fields");
const choice = byId("job-order");

function stored() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false; // there is no storage
  }
}

function store(isOn) {
  try {
    localStorage.setItem(KEY, isOn ? "1" : "0");
  } catch {
    /* it holds for this page then */
  }
}

function shownInputs() {
  return [...fields.querySelectorAll(":scope > .job-input")];
}

function arrange(isRequiredFirst) {
  const inputs = shownInputs();
  const end = inputs.at(-1)?.nextElementSibling ?? null;
  const rank = (input) => (isRequiredFirst && !input.hasAttribute("data-first") ? 1 : 0);
  inputs.sort((one, other) => rank(one) - rank(other) || one.dataset.number - other.dataset.number);
  for (const input of inputs) fields.insertBefore(input, end);
}

// A form that has just come is in its author's order.
function number() {
  const inputs = shownInputs();
  if (!inputs.length || inputs[0].dataset.number) return;
  inputs.forEach((input, index) => Object.assign(input.dataset, { number: index }));
  const firsts = inputs.map((input) => input.hasAttribute("data-first"));
  choice.hidden = !firsts.includes(true) || firsts.lastIndexOf(true) < firsts.filter(Boolean).length;
  if (!choice.hidden && stored()) arrange(true);
}

function listen() {
  const box = choice.querySelector("input");
  box.checked = stored();
  box.addEventListener("change", () => {
    store(box.checked);
    arrange(box.checked);
    byId("job-status").textContent = box.checked ? "Required inputs are first." : "Inputs are in their author's order.";
  });
  number();
  new MutationObserver(number).observe(fields, { childList: true });
}

if (fields && choice) listen();
