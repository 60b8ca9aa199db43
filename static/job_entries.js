// What an input's file or folder is on the page: known by where it is on the server (a line), or on its way there.
// A line is a path or a URI, or a whole File or Directory object as JSON, as the server reads it.

const UPLOAD = /^.*\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\//;
const ESCAPED = /^(?:file|https?|drs):/i; // in an object store, a % is a character like others
let last = 0;

export class Entry {
  constructor({ line = null, group = null, name = "" }) {
    this.id = `entry-${(last += 1)}`;
    this.line = line;
    this.group = group; // the upload, until it has arrived
    this.given = name;
    this.watchers = new Set();
    this.problem = ""; // what the server said about it
    if (group) group.onChange = () => this.changed();
  }

  get name() {
    return this.line === null ? this.given || this.group.name : nameOf(this.line);
  }

  get where() {
    return this.line === null ? "" : placeOf(this.line);
  }

  // The folder that it is in, for what has the same name in another one; uploads lie in a folder of their own each.
  get folder() {
    const path = this.group ? this.group.parts[0][0] : this.where.replace(UPLOAD, "");
    return path.slice(0, path.lastIndexOf("/") + 1);
  }

  get isWaiting() {
    return this.line === null && !this.group.isOver;
  }

  get hasFailed() {
    return this.line === null && this.group.isOver;
  }

  watch(act) {
    this.watchers.add(act);
    return () => this.watchers.delete(act);
  }

  changed() {
    if (this.line === null && this.group.state === "done") this.line = this.group.location;
    for (const act of [...this.watchers]) act(this);
  }
}

// Whether a place is one that nobody types: a file:// URI, or what was uploaded.
export const isGiven = (place) => /^file:\/\//.test(place) || (/^[a-z]/.test(place) && UPLOAD.test(place));

// The line for a place on the server; what a line can't hold as it is, it holds as JSON.
export function lineOf(place, kind, format) {
  const isPlain = place === place.trim() && !place.startsWith("{") && !/[\r\n]/.test(place);
  return isPlain ? place : JSON.stringify({ class: kind, location: place, ...(format && { format }) });
}

export function linesOf(text) {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

// The File object that a line is, or null where it is just a place.
export function objectOf(line) {
  if (!line.startsWith("{")) return null;
  try {
    const found = JSON.parse(line);
    return found && typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}

export function placeOf(line) {
  const found = objectOf(line);
  return found ? String(found.location ?? found.path ?? "") : line;
}

// What people call a file: its own name, not the URI.
export function nameOf(line) {
  const { basename } = objectOf(line) ?? {};
  if (typeof basename === "string" && basename) return basename;
  const place = placeOf(line).replace(/\/+$/, "");
  const name = place.slice(place.lastIndexOf("/") + 1) || place || line;
  if (!ESCAPED.test(place)) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

// --- in which order

export function moved(entries, chosen, step) {
  const order = [...entries];
  const places = order.map((entry, index) => (chosen.has(entry) ? index : -1)).filter((index) => index >= 0);
  if (step > 0) places.reverse();
  let edge = step > 0 ? order.length : -1; // those at the end stay there, and the next ones behind them
  for (const place of places) {
    const target = place + step;
    if (target === edge) {
      edge = place;
      continue;
    }
    [order[place], order[target]] = [order[target], order[place]];
    edge = target;
  }
  return order;
}

// Put what is chosen before the entry that it is dropped on.
export function movedBefore(entries, chosen, target) {
  if (chosen.has(target)) return entries;
  const isChosen = (entry) => chosen.has(entry);
  const rest = entries.filter((entry) => !isChosen(entry));
  rest.splice(rest.indexOf(target), 0, ...entries.filter(isChosen));
  return rest;
}

const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function sorted(entries) {
  return [...entries].sort(
    (one, other) => byName.compare(one.name, other.name) || byName.compare(one.where, other.where),
  );
}

export const compareNames = (one, other) => byName.compare(one, other);
