// The form of a schedule: only what belongs to the chosen kind, and when it would start runs, as the server says.
import { byId } from "./dom.js";
import { postForm } from "./http.js";

const form = byId("trigger-form");
const preview = byId("schedule-preview");
const WHEN = ["kind", "cron", "preset", "assets", "of_assets", "timezone", "start_date"];
const OF_OUTPUTS = "output-";
const FOLDER = "folder"; // of which "Show what is found now" tells more
const TYPING_MS = 400;
let asked = 0;
let timer = null;

function saysWhen(name) {
  return WHEN.includes(name) || name.startsWith(OF_OUTPUTS);
}

function showKind() {
  const kind = form.elements.kind.value;
  for (const part of form.querySelectorAll("[data-kind]")) part.hidden = !part.dataset.kind.split(" ").includes(kind);
}

function times(answer) {
  const shown = answer.times.map((time) => time.slice(0, 16).replace("T", " "));
  return shown.length ? `${answer.text}. Next: ${shown.join(", ")}` : answer.text;
}

async function showTimes() {
  const number = ++asked;
  if (form.elements.kind.value === FOLDER) {
    preview.textContent = "";
    return;
  }
  const data = new FormData();
  data.set("csrf_token", form.elements.csrf_token.value);
  for (const [name, value] of new FormData(form)) if (saysWhen(name)) data.append(name, value);
  let text;
  try {
    text = times(await postForm(form.dataset.preview, data));
  } catch (error) {
    text = error.message;
  }
  if (number === asked) preview.textContent = text; // not of what was there before
}

async function showSets(button) {
  const place = byId("found-sets");
  button.disabled = true;
  try {
    place.innerHTML = (await postForm(button.dataset.url, new FormData(form))).html;
  } catch (error) {
    place.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

function onInput(event) {
  if (!saysWhen(event.target.name)) return;
  showKind();
  clearTimeout(timer);
  timer = setTimeout(showTimes, TYPING_MS);
}

if (form) {
  showKind();
  showTimes();
  form.addEventListener("input", onInput);
  byId("show-sets").addEventListener("click", (event) => showSets(event.target));
}
