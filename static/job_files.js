// Files of a job: chosen on the server, or uploaded.
import { byId, element } from "./dom.js";
import { browse } from "./job_browse.js";
import { Upload } from "./job_upload.js";

const form = byId("trigger-form");

function put(box, location) {
  const field = box.querySelector(".path input");
  field.value = location;
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
}

// How far the upload for an input is, beside it.
class Progress {
  before = 0; // bytes of files that have arrived
  start = 0; // where the part begins that is on its way
  abort = new AbortController();

  constructor(box, total) {
    this.row = box.querySelector("[data-progress]");
    this.bar = this.row.querySelector("progress");
    this.text = this.row.querySelector("span");
    this.cancel = this.row.querySelector("[data-cancel]");
    this.row.dataset.busy = "";
    for (const shown of [this.row, this.bar, this.cancel]) shown.hidden = false;
    this.text.textContent = "";
    this.bar.max = total || 1;
    this.cancel.onclick = () => this.abort.abort();
    this.moved(0);
  }

  get signal() {
    return this.abort.signal;
  }

  get isCancelled() {
    return this.signal.aborted;
  }

  at(offset) {
    this.start = offset;
    this.moved(0);
  }

  moved(bytes) {
    this.bar.value = this.before + this.start + bytes;
    this.bar.title = `${Math.floor((100 * this.bar.value) / this.bar.max)} %`;
  }

  done(bytes) {
    this.before += bytes;
    this.moved(0);
  }

  end(text) {
    delete this.row.dataset.busy;
    this.bar.hidden = true;
    this.cancel.hidden = true;
    this.text.textContent = text;
  }
}

function pick(box) {
  const input = element("input");
  input.type = "file";
  input.multiple = patternsOf(box).length > 0;
  input.webkitdirectory = box.dataset.file === "Directory";
  input.addEventListener("change", () => {
    if (input.files.length) upload(box, [...input.files]);
  });
  input.click();
}

async function upload(box, files) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const progress = new Progress(box, total);
  try {
    const sending = new Upload(form.dataset, progress);
    put(box, await sending.run(files, patternsOf(box)));
    progress.end(`Uploaded: ${files.length === 1 ? files[0].name : `${files.length} files`}`);
  } catch (error) {
    progress.end(error.message);
  }
}

function patternsOf(box) {
  return JSON.parse(box.dataset.patterns);
}

function onClick(event) {
  const pressed = event.target.closest("button");
  const box = pressed?.closest("[data-file]");
  if (!box) return;
  if (pressed.matches("[data-browse]")) browse(box, (path) => put(box, path));
  else if (pressed.matches("[data-upload]")) pick(box);
}

if (form) byId("job-fields").addEventListener("click", onClick);
