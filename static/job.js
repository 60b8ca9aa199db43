// The job as a form and as text, kept the same: the server turns one into the other, so that both mean the same job.
import { byId, element } from "./dom.js";
import { base64url, utf8 } from "./encoding.js";
import { postForm } from "./http.js";
import { packFields, STILL_SENDING, textFile } from "./job_sending.js";

const LONG = 100_000; // browsers may send any file, but servers bound other fields
const KEEP_DOWNLOAD_MS = 60_000;

const form = byId("trigger-form");
const fields = byId("job-fields");
const text = form?.elements.job;
let shown = [...(form?.elements.source ?? [])].find((tab) => tab.defaultChecked)?.value;
let lastConf = null; // what the text says, as long as nobody edits it
let switching = null; // the way from one tab to the other, while the server is asked

// The exact text of the conf that is to be run, for who signs it; rejects where the job can't be read.
export async function confText() {
  await switching;
  if (form.querySelector("[data-busy]")) throw new Error(STILL_SENDING);
  return (await convert(shown)).conf;
}

function tell(problem) {
  const message = byId("job-message");
  message.hidden = !problem;
  message.textContent = problem || "";
}

// Texts that are too long for a field go as files.
function packTexts({ formData }) {
  for (const name of ["job", "conf"]) {
    const value = form.elements[name]?.value;
    if (value?.length > LONG) formData.set(name, textFile(name, value));
  }
}

// Return the job that the page holds: as text, as fields, as conf.
async function convert(source) {
  const data = new FormData(form);
  data.set("source", source);
  data.delete("job_file");
  data.delete("conf");
  try {
    return await postForm(form.dataset.convert, data);
  } catch (error) {
    throw new Error([error.message, ...(error.problems ?? [])].join("\n"), { cause: error });
  }
}

async function attempt(act) {
  tell("");
  try {
    await act();
    return true;
  } catch (error) {
    tell(error.message);
    return false;
  }
}

// --- two tabs

function choose(source) {
  form.elements.source.value = source;
  shown = source;
}

// What somebody types while the server is asked is newer than its answer.
async function toText() {
  const before = text.value;
  const same = await convert("form");
  const isNewer = text.value !== before;
  if (!isNewer && same.conf !== lastConf) text.value = same.text;
  lastConf = isNewer ? null : same.conf;
}

async function toForm() {
  fields.inert = true;
  try {
    const same = await convert("text");
    fields.innerHTML = same.html;
    lastConf = same.conf;
  } finally {
    fields.inert = false;
  }
}

async function switchTab(event) {
  if (event.target.name !== "source" || event.target.value === shown) return;
  if (isBusy()) {
    choose(shown);
    return;
  }
  const before = shown;
  shown = event.target.value;
  switching = attempt(shown === "text" ? toText : toForm);
  if (!(await switching)) choose(before);
  switching = null;
}

// The page can be used before its scripts are there. What is typed as text by then, or brought back by the browser, stays.
function catchUp() {
  const { value } = form.elements.source;
  if (value === shown) return;
  if (value === "text" && text.value !== text.defaultValue) shown = value;
  else form.querySelector("[name=source]:checked").dispatchEvent(new Event("change", { bubbles: true }));
}

// --- in and out

async function importFile(input) {
  const chosen = input.files[0];
  if (!chosen || isBusy()) return;
  text.value = await chosen.text();
  input.value = "";
  if (!(await attempt(toForm))) choose("text");
}

async function download() {
  const content = shown === "text" ? text.value : (await convert("form")).text;
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/yaml" }));
  link.download = `${form.dataset.name}-job.yml`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_DOWNLOAD_MS);
}

async function share() {
  const encoded = base64url(utf8((await convert(shown)).shared));
  if (encoded.length > Number(form.dataset.longestLink)) {
    throw new Error("This job is too long for a link. Download it and send the file.");
  }
  const link = byId("job-link-text");
  link.value = `${form.action}?job=${encoded}`;
  byId("job-link").hidden = false;
  link.select();
  await navigator.clipboard?.writeText(link.value).catch(() => {
    /* it is selected: the user can copy it */
  });
}

// --- sending

function isBusy() {
  const waits = Boolean(form.querySelector("[data-busy]"));
  if (waits) tell(STILL_SENDING);
  return waits;
}

// Files that a list shows, and the job would not have.
function hasFailed() {
  const failed = form.querySelector("[data-files] [data-failed]");
  if (failed) tell("Some files were not uploaded: try them again, or remove them from their list.");
  return Boolean(failed);
}

function onSubmit(event) {
  if (switching) {
    event.preventDefault();
    switching.then((isDone) => isDone && setTimeout(() => form.requestSubmit()));
  } else if (isBusy() || hasFailed()) event.preventDefault();
}

function listen() {
  form.addEventListener("formdata", packFields);
  form.addEventListener("formdata", packTexts);
  form.addEventListener("change", switchTab);
  form.addEventListener("submit", onSubmit);
  const imported = form.elements.job_file;
  imported.closest(".field").classList.add("imported");
  imported.addEventListener("change", () => importFile(imported));
  byId("job-import").addEventListener("click", () => imported.click());
  byId("job-download").addEventListener("click", () => attempt(download));
  byId("job-share")?.addEventListener("click", () => attempt(share));
}

if (form) {
  listen();
  catchUp();
  importFile(form.elements.job_file); // which was chosen before this script was there
  byId("job-problems")?.focus();
}
