// Upload the files of an input; large ones in parts, so that a broken upload goes on where it was.
import { pause } from "./dom.js";
import { getJson, HttpError, send } from "./http.js";

const PART_BYTES = 8 * 1024 * 1024;
const MAX_TRIES = 6;
const FIRST_PAUSE_MS = 500;
const HEADERS = { "Content-Type": "application/octet-stream" };

// An upload of one or several files; `progress` is told how far it is. Those of more than `partsAbove` bytes go in parts.
export class Upload {
  constructor({ inputs, parts, partsAbove }, progress) {
    this.inputs = inputs;
    this.parts = parts;
    this.partsAbove = Number(partsAbove);
    this.progress = progress;
  }

  // Return where the main file, or the folder that it is in, is on the server.
  async run(files, patterns) {
    const main = files.indexOf(mainFile(files, patterns));
    const known = files.length === 1 && this.goesInParts(files[0]) ? recall(this.inputs, files[0]) : null;
    const folder = known?.folder || uuid();
    const sent = [];
    for (const file of files) sent.push(await this.sendFile(file, folder, known));
    const depth = (files[main].webkitRelativePath.match(/\//g) || []).length;
    const { location } = sent[main];
    return depth ? location.split("/").slice(0, -depth).join("/") : location;
  }

  goesInParts(file) {
    return file.size > this.partsAbove;
  }

  async sendFile(file, folder, known) {
    const query = new URLSearchParams({ name: file.webkitRelativePath || file.name, folder });
    if (this.goesInParts(file)) return this.sendInParts(file, folder, known, query);
    const sent = await this.request("POST", `${this.inputs}?${query}`, file);
    this.progress.done(file.size);
    return sent;
  }

  async sendInParts(file, folder, known, query) {
    let state = (known && (await this.ask(known.id))) || (await this.begin(file, query));
    remember(this.inputs, file, { id: state.id, folder });
    let failures = 0;
    while (!state.file) {
      try {
        state = await this.sendPart(file, state);
        failures = 0;
      } catch (error) {
        failures += 1;
        if (isFinal(error) || this.progress.isCancelled || failures >= MAX_TRIES) throw error;
        await pause(FIRST_PAUSE_MS * 2 ** failures);
        state = (await this.ask(state.id)) || state;
      }
    }
    forget(this.inputs, file);
    this.progress.at(0);
    this.progress.done(file.size);
    return state.file;
  }

  begin(file, query) {
    query.set("size", file.size);
    return this.request("POST", `${this.parts}?${query}`, null);
  }

  sendPart(file, { id, received }) {
    this.progress.at(received);
    const part = file.slice(received, received + PART_BYTES);
    return this.request("PUT", `${this.parts}/${id}?offset=${received}`, part);
  }

  async ask(id) {
    try {
      return await getJson(`${this.parts}/${id}`, 1);
    } catch {
      return null; // it is not known any more, or the server is away
    }
  }

  async request(method, url, body) {
    const onProgress = (loaded) => this.progress.moved(loaded);
    try {
      return await send(method, url, body, { headers: HEADERS, signal: this.progress.signal, onProgress });
    } catch (error) {
      if (!error.isUnreachable) throw error;
      throw new HttpError("The server can't be reached. Choose the file again to go on.");
    }
  }
}

// What another try can't change. A conflict is about where to go on, which is asked for.
function isFinal(error) {
  return error.status >= 400 && error.status < 500 && error.status !== 409;
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

// crypto.randomUUID needs https
function uuid() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

// --- uploads that were broken off, kept by the browser

function keyOf(api, file) {
  return `cwl-upload:${api}:${file.name}:${file.size}:${file.lastModified}`;
}

function remember(api, file, state) {
  withStorage((storage) => storage.setItem(keyOf(api, file), JSON.stringify(state)));
}

function forget(api, file) {
  withStorage((storage) => storage.removeItem(keyOf(api, file)));
}

function recall(api, file) {
  return withStorage((storage) => JSON.parse(storage.getItem(keyOf(api, file))));
}

function withStorage(act) {
  try {
    return act(localStorage);
  } catch {
    return null; // there is no storage
  }
}
