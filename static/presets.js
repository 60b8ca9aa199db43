// Presets on the form of a run: saved without leaving the page, and used only if nothing is lost by it.
import { alertOf, byId, element, isChanged } from "./dom.js";
import { postForm } from "./http.js";
import { confText } from "./job.js";

const form = byId("trigger-form");
let isTouched = false; // whether somebody has filled in something since the page was loaded

// What the form holds, as the job of a conf that is to be run, and the fields of the control.
async function fieldsOf(pressed) {
  const data = new FormData();
  const conf = await confText(); // as text: numbers of any size stay what they are
  data.set("csrf_token", form.elements.csrf_token.value);
  data.set("digest", form.elements.digest.value);
  data.set("conf", new File([conf], "conf", { type: "text/plain" }));
  data.set("preset_name", byId("preset-name").value);
  const shared = byId("presets").querySelector("[name=preset_shared]");
  if (shared.checked) data.set("preset_shared", shared.value);
  if (pressed.name) data.set(pressed.name, pressed.value);
  return data;
}

async function save(pressed) {
  pressed.disabled = true;
  try {
    const answer = await postForm(pressed.formAction, await fieldsOf(pressed));
    byId("presets").outerHTML = answer.html;
    isTouched = false;
    byId("preset-said").focus();
  } catch (error) {
    pressed.disabled = false;
    const problems = error.problems ?? [];
    const more = problems.map((problem) => element("span", `${problem}\n`, "lines"));
    byId("preset-said").replaceChildren(alertOf("error", element("strong", error.message), ...more));
    byId("preset-said").focus();
  }
}

function onClick(event) {
  const pressed = event.target.closest("[data-preset-save]");
  if (!pressed) return;
  event.preventDefault();
  save(pressed);
}

// A preset fills the whole form in: what somebody has typed is not lost unasked.
function onUse(event) {
  if (event.target.id !== "preset-form" || !isTouched || event.submitter?.closest("dialog")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  byId("preset-replace").showModal();
}

function onKey(event) {
  if (event.key !== "Enter" || event.target.id !== "preset-name") return;
  event.preventDefault(); // it would start the run
  byId("presets").querySelector(".preset-panel [data-preset-save]").click();
}

if (form) {
  const isOfJob = ({ name }) => name?.startsWith("in-") || name === "job";
  const note = (event) => (isTouched ||= isOfJob(event.target));
  isTouched = [...form.elements].some((field) => isOfJob(field) && isChanged(field));
  form.addEventListener("input", note);
  form.addEventListener("change", note);
  document.addEventListener("click", onClick);
  document.addEventListener("submit", onUse, true);
  document.addEventListener("keydown", onKey);
}
