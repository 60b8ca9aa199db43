// Upload with progress: of the transfer, then of what the server does with it. Without this the form works, too.
import { alertOf, byId, element, pause } from "./dom.js";
import { onDrop } from "./dropped_files.js";
import { getJson, send } from "./http.js";

const POLL_MS = 400;
const SHOWN_FILES = 6;

class UploadForm {
  chosen = byId("upload-chosen");
  status = byId("upload-status");
  message = byId("upload-message");
  bar = byId("upload-progress");
  errors = byId("upload-errors");
  files = null; // of a folder or a drop, as [path, file]; null: what the field has

  constructor(form) {
    this.form = form;
    this.dialog = form.closest("dialog");
    this.input = form.querySelector("input[type=file]");
    this.submit = form.querySelector("button[type=submit]");
  }

  listen() {
    if (this.dialog.open) {
      this.dialog.close(); // as the server has opened it, for whoever has no scripts
      this.dialog.showModal();
    }
    const folder = element("input");
    folder.type = "file";
    folder.webkitdirectory = true;
    folder.addEventListener("change", () =>
      this.take([...folder.files].map((file) => [file.webkitRelativePath, file])),
    );
    byId("choose-folder").addEventListener("click", () => folder.click());
    this.input.addEventListener("change", () => {
      this.files = null;
      this.chosen.hidden = true;
      this.begin();
    });
    onDrop(byId("drop-page"), (found) => this.take(found));
    if (this.input.files.length) this.begin(); // chosen before this script was there
    this.errors.addEventListener("click", (event) => this.chooseMain(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
  }

  // The upload holds several processes: one is chosen, and it is sent again.
  chooseMain(event) {
    const choice = event.target.closest("[data-main]");
    if (!choice) return;
    this.form.elements.main.value = choice.dataset.main;
    this.start();
  }

  // Other files are chosen: what was said of those before is over.
  begin() {
    this.errors.hidden = true;
    this.errors.replaceChildren();
    byId("upload-problem")?.remove();
    if (!this.dialog.open) this.dialog.showModal();
  }

  take(found) {
    this.begin();
    this.files = withoutHidden(withoutCommonFolder(found));
    this.chosen.hidden = !this.files.length;
    this.chosen.textContent = summary(this.files.map(([path]) => path));
    this.input.required = false;
  }

  content() {
    const data = new FormData(this.form);
    if (this.files?.length) {
      data.delete(this.input.name);
      for (const [path, file] of this.files) data.append(this.input.name, file, path);
    }
    return data;
  }

  async start() {
    this.working("Sending…");
    try {
      const onProgress = (...at) => this.moved(...at);
      await this.follow(await send("POST", this.form.action, this.content(), { onProgress }));
    } catch (error) {
      this.failed(error.message, error.data?.html);
    }
  }

  async follow(upload) {
    while (upload.state !== "done" && upload.state !== "failed") {
      this.working(`${upload.message}…`);
      await pause(POLL_MS);
      upload = await this.look(upload.url);
    }
    if (upload.state === "done") location.assign(upload.workflow);
    else this.failed(upload.message, upload.html);
  }

  async look(url) {
    try {
      return await getJson(url);
    } catch (error) {
      if (!error.isUnreachable) throw error;
      throw new Error("The server can't be reached. The upload may still end well: look at the list.", {
        cause: error,
      });
    }
  }

  moved(loaded, total) {
    this.bar.max = total;
    this.bar.value = loaded;
  }

  working(text) {
    this.errors.hidden = true;
    this.status.hidden = false;
    this.submit.disabled = true;
    this.message.textContent = text;
    this.bar.removeAttribute("value");
  }

  failed(message, html) {
    this.status.hidden = true;
    this.submit.disabled = false;
    if (html) {
      this.errors.innerHTML = html; // made by the server, which escapes what was uploaded
    } else {
      this.tell(message);
    }
    this.errors.hidden = false;
    this.errors.scrollIntoView({ block: "nearest" });
  }

  tell(message) {
    const alert = alertOf("error", message);
    alert.setAttribute("role", "alert");
    this.errors.replaceChildren(alert);
  }
}

function summary(paths) {
  const names = paths.slice(0, SHOWN_FILES).join(", ");
  const more = paths.length > SHOWN_FILES ? ` and ${paths.length - SHOWN_FILES} more` : "";
  return `${paths.length} ${paths.length === 1 ? "file" : "files"}: ${names}${more}`;
}

function withoutCommonFolder(found) {
  const first = found.length ? `${found[0][0].split("/")[0]}/` : "";
  if (!found.every(([path]) => path.startsWith(first))) return found;
  return found.map(([path, file]) => [path.slice(first.length), file]);
}

// .git, .DS_Store
function withoutHidden(found) {
  return found.filter(([path]) => !path.split("/").some((part) => part.startsWith(".")));
}

const form = byId("upload-form");
if (form) new UploadForm(form).listen();
