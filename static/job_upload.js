// Upload the files of inputs, three at a time; large ones in parts, so that a broken upload goes on where it was.
import { pause } from "./dom.js";
import { getJson, HttpError, send } from "./http.js";
import { sendStored } from "./job_upload_stored.js";
import { forget, letRest, recall, remember } from "./upload_memory.js";

const AT_ONCE = 3;
const PART_BYTES = 8 * 1024 * 1024;
const MAX_TRIES = 6;
const FIRST_PAUSE_MS = 500;
const HEADERS = { "Content-Type": "application/octet-stream" };

// What becomes one value of a job: a file with its secondary files, or a folder. `parts` are [path, file], of which the
// first one is the main file; `folder` is the id of the server's folder that they are put into.
export class Group {
  state = "waiting"; // sending, done, failed, cancelled
  error = "";
  onChange = null;
  sent = new Map(); // by file: where it is
  loaded = new Map(); // by file: bytes
  abort = new AbortController();
  ids = new Set(); // of uploads in parts that have not ended
  sending = new Set(); // files that are on their way

  constructor(parts, { isFolder = false, folder = uuid() } = {}) {
    this.parts = parts;
    this.isFolder = isFolder;
    this.folder = folder;
    const [path] = parts[0];
    this.name = isFolder ? path.split("/")[0] : path.slice(path.lastIndexOf("/") + 1);
    this.bytes = parts.reduce((sum, [, file]) => sum + file.size, 0);
  }

  get isOver() {
    return ["done", "failed", "cancelled"].includes(this.state);
  }

  get done() {
    return [...this.loaded.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  // Where the main file is, or the folder.
  get location() {
    const [path, file] = this.parts[0];
    const location = this.sent.get(file);
    const depth = path.split("/").length - 1;
    return this.isFolder && depth ? location.split("/").slice(0, -depth).join("/") : location;
  }

  moved(file, bytes) {
    this.loaded.set(file, bytes);
    this.onChange?.();
  }

  become(state, error = "") {
    this.state = state;
    this.error = error;
    this.onChange?.();
  }

  cancel() {
    if (this.isOver) return;
    this.abort.abort();
    this.become("cancelled", "Cancelled.");
  }

  // Begin again: in a folder of its own, where nothing has its names yet, unless a large file only goes on. Then all that
  // is there, or still on its way there, stays, since files that belong together lie in one folder.
  reset() {
    if (!this.ids.size) {
      this.abort.abort();
      this.folder = uuid();
      for (const known of [this.sent, this.loaded]) known.clear();
    }
    if (this.abort.signal.aborted) {
      this.abort = new AbortController();
      this.sending.clear();
    }
    this.become("waiting");
  }
}

// All uploads of the page.
export class Queue {
  waiting = []; // [group, file, path]
  running = 0;

  // `settings` are what the page says: addresses, and above how many bytes a file goes in parts; `stored` where all go to
  // an object store.
  constructor(settings) {
    this.settings = settings;
    this.inputs = settings.inputs;
    this.partsApi = settings.parts;
  }

  add(group) {
    const files = group.parts.filter(([, file]) => !group.sent.has(file) && !group.sending.has(file));
    this.waiting = this.waiting.filter(([other]) => other !== group); // from a try before
    this.waiting.push(...files.map(([path, file]) => [group, file, path]));
    this.pump();
  }

  retry(group) {
    group.reset();
    this.add(group);
  }

  pump() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const [group, file, path] = this.waiting.shift();
      if (group.isOver) continue;
      this.running += 1;
      this.sendOne(group, file, path).finally(() => {
        this.running -= 1;
        this.pump();
      });
    }
  }

  async sendOne(group, file, path) {
    if (group.state === "waiting") group.become("sending");
    const { signal } = group.abort;
    group.sending.add(file);
    try {
      const { location } = await this.sendFile(group, file, path, signal);
      if (signal.aborted) return;
      group.sent.set(file, location);
      group.moved(file, file.size);
      if (group.sent.size === group.parts.length) group.become("done");
    } catch (error) {
      if (!signal.aborted) group.become("failed", error.message);
    } finally {
      if (signal === group.abort.signal) group.sending.delete(file);
    }
  }

  sendFile(group, file, path, signal) {
    if (this.settings.stored) return sendStored(this, group, file, path, signal);
    if (file.size > Number(this.settings.partsAbove)) return this.sendInParts(group, file, path, signal);
    const query = new URLSearchParams({ name: path, folder: group.folder });
    return this.request("POST", `${this.inputs}?${query}`, file, signal, (loaded) => group.moved(file, loaded));
  }

  async sendInParts(group, file, path, signal) {
    try {
      return await this.goOnInParts(group, file, path, signal);
    } finally {
      letRest(file);
    }
  }

  async goOnInParts(group, file, path, signal) {
    const known = recall(this.inputs, path, file);
    const fits = known && (group.parts.length === 1 || known.folder === group.folder);
    let state = fits ? await this.ask(known.id) : null;
    signal.throwIfAborted();
    if (state) group.folder = known.folder;
    else state = await this.begin(group, file, path, signal);
    const { id } = state;
    const isOver = () => {
      group.ids.delete(id);
      forget(this.inputs, path, file, id);
    };
    group.ids.add(id);
    remember(this.inputs, path, file, { id, folder: group.folder });
    try {
      state = await this.sendParts(group, file, state, signal);
    } catch (error) {
      if (signal.aborted) {
        isOver();
        this.removeParts(id);
      }
      throw error;
    }
    isOver();
    return state.file;
  }

  async sendParts(group, file, begun, signal) {
    let state = begun;
    let failures = 0;
    while (!state.file) {
      try {
        state = await this.sendPart(group, file, state, signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        if (isFinalForPart(error) || signal.aborted || failures >= MAX_TRIES) throw error;
        await pause(FIRST_PAUSE_MS * 2 ** failures, signal);
        if (signal.aborted) throw error;
        state = (await this.ask(state.id)) || state;
      }
    }
    return state;
  }

  begin(group, file, path, signal) {
    const query = new URLSearchParams({ name: path, folder: group.folder, size: file.size });
    return this.request("POST", `${this.partsApi}?${query}`, null, signal);
  }

  sendPart(group, file, { id, received }, signal) {
    group.moved(file, received);
    const part = file.slice(received, received + PART_BYTES);
    const onProgress = (loaded) => group.moved(file, received + loaded);
    return this.request("PUT", `${this.partsApi}/${id}?offset=${received}`, part, signal, onProgress);
  }

  async ask(id) {
    try {
      return await getJson(`${this.partsApi}/${id}`, 1);
    } catch {
      return null; // it is not known any more, or the server is away
    }
  }

  // Who cancels does not go on later: what has arrived need not be kept. A part may still be arriving.
  async removeParts(id) {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      try {
        await send("DELETE", `${this.partsApi}/${id}`, null);
        return;
      } catch (error) {
        if (error.status !== 409) return; // it is removed after a week
        await pause(FIRST_PAUSE_MS);
      }
    }
  }

  // Ask again, after longer and longer pauses, unless that can't change anything.
  async again(act, signal) {
    for (let failures = 1; ; failures += 1) {
      try {
        return await act();
      } catch (error) {
        if (isFinal(error) || signal.aborted || failures >= MAX_TRIES) throw error;
        await pause(FIRST_PAUSE_MS * 2 ** failures, signal);
        signal.throwIfAborted();
      }
    }
  }

  async request(method, url, body, signal, onProgress) {
    try {
      return await send(method, url, body, { headers: HEADERS, signal, onProgress });
    } catch (error) {
      if (!error.isUnreachable) throw error;
      throw new HttpError("The server can't be reached. Try again, or choose the file again later, to go on.");
    }
  }
}

// What another try can't change.
function isFinal(error) {
  return error.status >= 400 && error.status < 500;
}

// Of a part, a conflict is about where to go on, which is asked for.
function isFinalForPart(error) {
  return isFinal(error) && error.status !== 409;
}

// crypto.randomUUID needs https
export function uuid() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
