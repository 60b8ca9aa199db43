// A sheet before it is started: whatever is changed, the rows are checked anew, and what is wrong is shown at its cell.
import { alertOf, byId, element, isChanged } from "./dom.js";
import { postForm } from "./http.js";
import { packFields } from "./job_sending.js";
import { morph } from "./morph.js";

const TYPING_MS = 600;
const form = byId("trigger-form");
const preview = byId("batch-preview");
const message = byId("batch-message");
let shown = new URLSearchParams(form ? location.search : ""); // which of the rows: a query of this page
let asked = 0;
let timer = null;

async function check(changesColumns) {
  clearTimeout(timer);
  const number = ++asked;
  preview.setAttribute("aria-busy", "true");
  const data = new FormData(form);
  data.set("act", "check");
  try {
    const { parts } = await postForm(`${form.action}?${shown}`, data);
    if (number !== asked) return;
    message.replaceChildren();
    morph(preview, parts.preview);
    if (changesColumns) morph(byId("job-fields"), parts.constants); // what is filled in, or on its way, stays (data-keep)
  } catch (error) {
    if (number === asked) message.replaceChildren(alertOf("error", element("strong", error.message)));
  } finally {
    if (number === asked) preview.removeAttribute("aria-busy");
  }
}

function onInput(event) {
  if (!event.target.name || event.target.matches("[data-mapping]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => check(false), TYPING_MS);
}

function onChange(event) {
  if (!event.target.matches("[data-mapping]")) {
    onInput(event);
    return;
  }
  if (event.target.name === "rows") shown = new URLSearchParams(); // other rows: from their beginning
  check(event.target.tagName === "SELECT");
}

function onSubmit(event) {
  if (event.submitter?.value === "check") {
    event.preventDefault();
    check(false);
  } else if (event.submitter) setTimeout(() => (event.submitter.disabled = true));
}

// To other rows without leaving the page: files may be on their way.
function onClick(event) {
  const link = event.target instanceof Element && event.target.closest("nav a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  shown = new URL(link.href).searchParams;
  check(false);
}

if (form) {
  form.addEventListener("formdata", packFields);
  form.addEventListener("submit", onSubmit);
  form.addEventListener("input", onInput);
  form.addEventListener("change", onChange);
  preview.addEventListener("click", onClick);
  if ([...form.querySelectorAll("input:not([type=file]), select, textarea")].some(isChanged)) check(true);
}
