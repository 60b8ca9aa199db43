// Upload with progress: of the transfer, then of what the server does with it. Files, folders and zips can be dropped
// anywhere on the page. Without this the form works, too.
"use strict";
(() => {
  const form = document.getElementById("upload-form");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = document.getElementById("drop");
  const chosen = document.getElementById("upload-chosen");
  const status = document.getElementById("upload-status");
  const message = document.getElementById("upload-message");
  const bar = document.getElementById("upload-progress");
  const errors = document.getElementById("upload-errors");
  const button = form.querySelector("button[type=submit]");
  const POLL_MS = 400;
  const SHOWN_FILES = 6;
  let files = null; // of a folder or a drop, as [path, file]; null: what the field has

  const folder = document.createElement("input");
  folder.type = "file";
  folder.webkitdirectory = true;
  folder.addEventListener("change", () => take([...folder.files].map((file) => [file.webkitRelativePath, file])));
  document.getElementById("choose-folder").addEventListener("click", () => folder.click());
  input.addEventListener("change", () => { files = null; chosen.hidden = true; });

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.remove("over");
    drop.scrollIntoView({ block: "nearest" });
    take(await dropped(event.dataTransfer));
  });
  errors.addEventListener("click", (event) => { // the upload holds several processes: one is chosen, and it is sent again
    const choice = event.target.closest("[data-main]");
    if (!choice) return;
    form.elements.main.value = choice.dataset.main;
    send();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); send(); });

  // What was dropped, with the files in its folders.
  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return [...transfer.files].map((file) => [file.name, file]);
    const found = [];
    for (const entry of entries) await walk(entry, found);
    return found;
  }

  async function walk(entry, found) {
    if (entry.isFile) {
      found.push([entry.fullPath.slice(1), await new Promise((done, failed) => { entry.file(done, failed); })]);
      return;
    }
    const reader = entry.createReader();
    let batch;
    do {
      batch = await new Promise((done, failed) => { reader.readEntries(done, failed); });
      for (const inner of batch) await walk(inner, found);
    } while (batch.length); // a browser hands out a hundred at a time
  }

  function take(found) {
    files = withoutHidden(withoutCommonFolder(found));
    chosen.hidden = !files.length;
    const names = files.slice(0, SHOWN_FILES).map(([path]) => path).join(", ");
    const more = files.length > SHOWN_FILES ? ` and ${files.length - SHOWN_FILES} more` : "";
    chosen.textContent = `${files.length} ${files.length === 1 ? "file" : "files"}: ${names}${more}`;
    input.required = false;
  }

  function withoutCommonFolder(found) {
    const first = found.length ? `${found[0][0].split("/")[0]}/` : "";
    return found.every(([path]) => path.startsWith(first)) ? found.map(([path, file]) => [path.slice(first.length), file]) : found;
  }

  function withoutHidden(found) { // .git, .DS_Store
    return found.filter(([path]) => !path.split("/").some((part) => part.startsWith(".")));
  }

  function content() {
    const data = new FormData(form);
    if (files && files.length) {
      data.delete(input.name);
      for (const [path, file] of files) data.append(input.name, file, path);
    }
    return data;
  }

  function send() {
    working("Sending…");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) { bar.max = event.total; bar.value = event.loaded; }
    };
    request.onload = () => (request.status === 202 ? follow(request.response) : failed(request.response));
    request.onerror = () => failed({ detail: "The server can't be reached. Try again." });
    request.send(content());
  }

  async function follow(upload) {
    while (upload.state !== "done" && upload.state !== "failed") {
      working(`${upload.message}…`);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      try {
        const answer = await fetch(upload.url, { headers: { "X-Requested-With": "XMLHttpRequest" } });
        upload = await answer.json();
      } catch {
        failed({ detail: "The server can't be reached. The upload may still end well: look at the list." });
        return;
      }
    }
    if (upload.state === "done") location.assign(upload.workflow);
    else failed(upload);
  }

  function working(text) {
    errors.hidden = true;
    status.hidden = false;
    button.disabled = true;
    message.textContent = text;
    bar.removeAttribute("value");
  }

  function failed(data) {
    status.hidden = true;
    button.disabled = false;
    if (data && data.html) errors.innerHTML = data.html; // made by the server, which escapes what was uploaded
    else {
      const alert = document.createElement("div");
      alert.className = "alert error";
      alert.setAttribute("role", "alert");
      alert.textContent = (data && (data.detail || data.message)) || "The upload failed. Reload the page and try again.";
      errors.replaceChildren(alert);
    }
    errors.hidden = false;
    errors.scrollIntoView({ block: "nearest" });
  }
})();
