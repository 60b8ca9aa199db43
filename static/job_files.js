// Files of a job: chosen on the server, or uploaded; large ones in parts, so that a broken upload goes on where it was.
"use strict";
(() => {
  const form = document.getElementById("trigger-form");
  const fields = document.getElementById("job-fields");
  const dialog = document.getElementById("browse");
  if (!form || !fields || !dialog) return;
  const API = form.dataset.inputs;
  const PART = 8 * 1024 * 1024;
  const TRIES = 6;
  const FIRST_PAUSE_MS = 500;

  function fieldOf(box) { return box.querySelector(".path input"); }

  function put(box, location) {
    const field = fieldOf(box);
    field.value = location;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
  }

  // --- choosing on the server

  let target = null;

  async function browse(box, path) {
    target = box;
    if (!dialog.open) dialog.showModal();
    const note = document.getElementById("browse-message");
    note.textContent = "Looking…";
    try {
      const answer = await fetch(`${API}/browse?${new URLSearchParams({ path })}`);
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.detail);
      showFolder(found);
      note.textContent = found.truncated ? "There are more; only the first ones are shown." : found.entries.length ? "" : "This folder is empty.";
    } catch (error) {
      note.textContent = error.message || "The server can't be reached. Try again.";
      if (path) showFolder({ path: "", trail: [], entries: [] });
    }
  }

  function showFolder(folder) {
    const wantsFolder = target.dataset.file === "Directory";
    const trail = [{ name: "Folders", path: "" }, ...folder.trail];
    document.getElementById("browse-path").replaceChildren(...trail.map((part) => entryButton(part.name, () => browse(target, part.path))));
    document.getElementById("browse-list").replaceChildren(...folder.entries.map((entry) => {
      const item = document.createElement("li");
      const isFolder = entry.kind === "folder";
      const button = entryButton(isFolder ? `${entry.name}/` : entry.name, () => (isFolder ? browse(target, entry.path) : chosen(entry.path)));
      button.disabled = wantsFolder && !isFolder;
      const size = document.createElement("span");
      size.className = "muted";
      size.textContent = entry.size_text || "";
      item.append(button, size);
      return item;
    }));
    const choose = document.getElementById("browse-choose");
    choose.hidden = !wantsFolder || !folder.path;
    choose.onclick = () => chosen(folder.path);
  }

  function entryButton(label, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "entry";
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  }

  function chosen(path) {
    dialog.close();
    put(target, path);
  }

  // --- uploading

  function uuid() { // crypto.randomUUID needs https
    const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  function pick(box) {
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = JSON.parse(box.dataset.patterns).length > 0;
    input.webkitdirectory = box.dataset.file === "Directory";
    input.addEventListener("change", () => { if (input.files.length) upload(box, [...input.files]); });
    input.click();
  }

  async function upload(box, files) {
    const progress = new Progress(box, files.reduce((sum, file) => sum + file.size, 0));
    try {
      const main = files.indexOf(mainFile(files, JSON.parse(box.dataset.patterns)));
      let folder = null;
      const sent = [];
      for (const file of files) {
        const known = files.length === 1 && file.size > Number(form.dataset.chunkAbove) ? recall(file) : null;
        folder ||= known?.folder || uuid();
        sent.push(await sendFile(file, folder, known, progress));
      }
      const depth = (files[main].webkitRelativePath.match(/\//g) || []).length;
      put(box, depth ? sent[main].location.split("/").slice(0, -depth).join("/") : sent[main].location);
      progress.end(`Uploaded: ${files.length === 1 ? files[0].name : `${files.length} files`}`);
    } catch (error) {
      progress.end(error.message);
    }
  }

  // With secondary files chosen together, the main file is the one that the others belong to.
  function mainFile(files, patterns) {
    const names = new Set(files.map((file) => file.name));
    return files.find((file) => patterns.some((pattern) => names.has(secondaryName(file.name, pattern)))) || files[0];
  }

  function secondaryName(name, pattern) {
    while (pattern.startsWith("^")) {
      name = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : name;
      pattern = pattern.slice(1);
    }
    return name + pattern;
  }

  async function sendFile(file, folder, known, progress) {
    const query = new URLSearchParams({ name: file.webkitRelativePath || file.name, folder });
    if (file.size > Number(form.dataset.chunkAbove)) return sendInParts(file, folder, known, query, progress);
    const sent = await request("POST", `${API}?${query}`, file, progress);
    progress.done(file.size);
    return sent;
  }

  async function sendInParts(file, folder, known, query, progress) {
    let state = known && (await ask(known.id));
    if (!state) {
      query.set("size", file.size);
      state = await request("POST", `${API}/parts?${query}`, null, progress);
    }
    remember(file, { id: state.id, folder });
    let failures = 0;
    while (!state.file) {
      try {
        const part = file.slice(state.received, state.received + PART);
        progress.at(state.received);
        state = await request("PUT", `${API}/parts/${state.id}?offset=${state.received}`, part, progress);
        failures = 0;
      } catch (error) {
        if (progress.isCancelled || error.isFinal || ++failures >= TRIES) throw error;
        await new Promise((resolve) => { setTimeout(resolve, FIRST_PAUSE_MS * 2 ** failures); });
        state = (await ask(state.id)) || state;
      }
    }
    forget(file);
    progress.at(0);
    progress.done(file.size);
    return state.file;
  }

  async function ask(id) {
    try {
      const answer = await fetch(`${API}/parts/${id}`);
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  function request(method, url, body, progress) {
    return new Promise((resolve, reject) => {
      const sending = new XMLHttpRequest();
      progress.sending = sending;
      sending.open(method, url);
      sending.responseType = "json";
      sending.setRequestHeader("Content-Type", "application/octet-stream");
      sending.upload.onprogress = (event) => progress.moved(event.loaded);
      sending.onload = () => {
        if (sending.status < 300) resolve(sending.response);
        else {
          const error = new Error(sending.response?.detail || `The server answered ${sending.status}.`);
          error.isFinal = sending.status < 500 && sending.status !== 409;
          reject(error);
        }
      };
      sending.onerror = () => reject(new Error("The server can't be reached. Choose the file again to go on."));
      sending.onabort = () => reject(new Error("Cancelled."));
      sending.send(body);
    });
  }

  function key(file) { return `cwl-upload:${API}:${file.name}:${file.size}:${file.lastModified}`; }
  function remember(file, state) { try { localStorage.setItem(key(file), JSON.stringify(state)); } catch { /* no storage */ } }
  function forget(file) { try { localStorage.removeItem(key(file)); } catch { /* no storage */ } }
  function recall(file) { try { return JSON.parse(localStorage.getItem(key(file))); } catch { return null; } }

  class Progress {
    constructor(box, total) {
      this.row = box.querySelector("[data-progress]");
      this.bar = this.row.querySelector("progress");
      this.text = this.row.querySelector("span");
      this.button = this.row.querySelector("[data-cancel]");
      this.total = total;
      this.before = 0;
      this.start = 0;
      this.row.dataset.busy = "";
      this.row.hidden = this.bar.hidden = this.button.hidden = false;
      this.text.textContent = "";
      this.bar.max = total || 1;
      this.button.onclick = () => { this.isCancelled = true; this.sending?.abort(); };
      this.moved(0);
    }
    at(offset) { this.start = offset; this.moved(0); }
    moved(bytes) {
      this.bar.value = this.before + this.start + bytes;
      this.bar.title = `${Math.floor((100 * this.bar.value) / this.bar.max)} %`;
    }
    done(bytes) { this.before += bytes; this.moved(0); }
    end(text) {
      delete this.row.dataset.busy;
      this.bar.hidden = this.button.hidden = true;
      this.text.textContent = text;
    }
  }

  fields.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const box = button && button.closest("[data-file]");
    if (!box) return;
    if (button.matches("[data-browse]")) browse(box, "");
    else if (button.matches("[data-upload]")) pick(box);
  });
})();
