// A list of files or folders in the form: names that can be chosen, moved and removed; the field beside it has the lines
// that are sent. One element for each file and one row of buttons for all, so that a thousand files stay usable.
import { button, element } from "./dom.js";
import { Entry, lineOf, linesOf, moved, sorted } from "./job_entries.js";
import { listen } from "./job_list_keys.js";
import { countOf, Progress } from "./job_progress.js";
import { pairsOf } from "./pairs.js";

const REDRAW_MS = 100;

export class FileList {
  entries = [];
  chosen = new Set();
  current = null; // the entry that keys act on
  undo = null; // {text, act}
  onChange = (entry) => this.onEntry(entry);

  // `page` has what lists share: queue, say, pairs.
  constructor(box, page) {
    this.box = box;
    this.page = page;
    this.kind = box.dataset.files;
    this.title = box.dataset.title;
    this.noun = this.kind === "Directory" ? "folder" : "file";
    this.lines = box.querySelector("textarea");
    this.mark = box.querySelector(`[name="${box.dataset.name}-list"]`);
    this.wasList = this.mark.value === "1";
    const acts = { cancelAll: () => this.cancelAll(), retry: () => this.retry(), say: page.say };
    this.progress = new Progress(box.querySelector("[data-progress]"), this.title, acts);
    this.build();
    this.read();
    this.lines.addEventListener("input", () => {
      this.read();
      this.noteMark();
    });
  }

  // --- what is in it

  read() {
    const known = new Map();
    for (const entry of this.entries) {
      if (entry.line !== null) known.set(entry.line, [...(known.get(entry.line) ?? []), entry]);
    }
    const settled = linesOf(this.lines.value).map(
      (line) => known.get(line)?.shift() ?? this.adopt(new Entry({ line })),
    );
    this.entries = [...settled, ...this.entries.filter((entry) => entry.line === null)];
    this.noteProblems();
    this.render();
  }

  noteProblems() {
    for (const item of this.box.querySelectorAll(":scope > .wrong-files > li")) {
      const entry = this.entries[Number(item.dataset.line)];
      if (entry && item.dataset.line) entry.problem = item;
      delete item.dataset.line; // it is that entry's from now on, wherever it goes
    }
  }

  adopt(entry) {
    entry.watch(this.onChange);
    return entry;
  }

  add(entries) {
    for (const entry of entries) this.adopt(entry);
    this.set([...this.entries, ...entries]);
  }

  addPlaces(places, format) {
    this.add(places.map((place) => new Entry({ line: lineOf(place, this.kind, format) })));
  }

  set(entries) {
    this.entries = entries;
    this.chosen = new Set(entries.filter((entry) => this.chosen.has(entry)));
    this.write();
    this.render();
    this.tell();
  }

  // Let whoever watches the form know that it says something else now.
  tell() {
    this.lines.dispatchEvent(new Event("change", { bubbles: true }));
  }

  write() {
    this.lines.value = this.entries.flatMap((entry) => entry.line ?? []).join("\n");
    this.noteMark();
  }

  // An optional list without files is left out of the job; one that is required is then empty.
  noteMark() {
    const isRequired = this.box.hasAttribute("data-required");
    if (this.box.hasAttribute("data-one")) this.mark.value = this.wasList && this.entries.length ? "1" : "";
    else this.mark.value = this.entries.length || isRequired ? "1" : "";
  }

  onEntry(entry) {
    if (!this.entries.includes(entry)) return;
    if (entry.line === null && entry.group.state === "cancelled") {
      this.set(this.entries.filter((other) => other !== entry));
      return;
    }
    if (entry.group?.isOver) this.write();
    this.changedEntries.add(entry);
    const isBusy = this.entries.some((other) => other.isWaiting);
    this.progress.place.toggleAttribute("data-busy", isBusy); // at once: a job without these files must not be sent
    if (isBusy) this.redraw ??= setTimeout(() => this.refresh(), REDRAW_MS);
    else {
      this.refresh();
      this.tell();
    }
  }

  // --- what is done with it

  keep(text) {
    const before = this.entries;
    this.undo = { text, act: () => this.set(before.map((entry) => this.revived(entry))) };
  }

  revived(entry) {
    if (entry.line === null && entry.group.state === "cancelled") this.page.queue.retry(entry.group);
    return entry;
  }

  takeBack() {
    const { act, text } = this.undo;
    this.undo = null;
    act();
    this.page.say(`Undone: ${text}.`);
  }

  // What the buttons and keys act on.
  get meant() {
    if (this.chosen.size) return this.chosen;
    return new Set(this.current && this.entries.includes(this.current) ? [this.current] : []);
  }

  move(step) {
    const chosen = this.meant;
    if (!chosen.size) return;
    this.set(moved(this.entries, chosen, step));
    const [first] = chosen;
    this.page.say(`Moved: ${first.name} is number ${this.entries.indexOf(first) + 1} of ${this.entries.length}.`);
  }

  sort() {
    this.keep("sorting");
    this.set(sorted(this.entries));
    this.page.say("Sorted by name.");
  }

  remove(chosen = this.meant) {
    if (!chosen.size) return;
    this.keep(`removing ${countOf(chosen.size, this.noun)}`);
    const places = [...chosen].map((entry) => this.entries.indexOf(entry));
    const rest = this.entries.filter((entry) => !chosen.has(entry));
    this.current = rest[Math.min(Math.min(...places), rest.length - 1)] ?? null;
    for (const entry of chosen) entry.problem?.remove?.();
    this.set(rest);
    for (const entry of chosen) if (entry.isWaiting) entry.group.cancel();
    this.page.say(`${countOf(chosen.size, this.noun)} removed.`);
  }

  cancelAll() {
    const waiting = this.entries.filter((entry) => entry.isWaiting);
    this.set(this.entries.filter((entry) => !entry.isWaiting));
    for (const entry of waiting) entry.group.cancel();
    this.page.say(`${countOf(waiting.length, "upload")} cancelled.`);
  }

  retry() {
    for (const entry of this.entries) if (entry.hasFailed) this.page.queue.retry(entry.group);
  }

  // --- what is seen of it

  build() {
    this.changedEntries = new Set();
    this.items = new Map();
    this.tools = element("div", "", "row tools");
    this.count = element("span", "", "muted count");
    const tool = (text, label, act) => {
      const made = button(text, act, "btn outline small");
      made.setAttribute("aria-label", `${label}: ${this.title}`);
      made.title = label;
      return made;
    };
    this.pairs = tool("Pairs…", "Put pairs of files into two inputs or records", () => this.page.pairs(this));
    this.taker = tool("Undo", "Undo", () => this.takeBack());
    this.acting = [
      tool("↑", "Move up", () => this.move(-1)),
      tool("↓", "Move down", () => this.move(1)),
      tool("Remove", "Remove what is selected", () => this.remove()),
      tool("Remove all", "Remove all", () => this.remove(new Set(this.entries))),
      tool("Sort by name", "Sort by name", () => this.sort()),
    ];
    this.tools.append(this.count, ...this.acting, this.pairs, this.taker);
    this.list = element("ul", "", "file-list");
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-multiselectable", "true");
    this.list.setAttribute("aria-label", `${this.noun === "file" ? "Files" : "Folders"} of ${this.title}`);
    this.path = element("p", "", "muted where");
    this.box.querySelector("[data-list-place]").replaceChildren(this.tools, this.list, this.path);
    listen(this);
  }

  render() {
    const hadFocus = this.list.contains(document.activeElement);
    if (!this.entries.includes(this.current)) this.current = this.entries[0] ?? null;
    this.items = new Map(this.entries.map((entry) => [entry, this.items.get(entry) ?? this.item(entry)]));
    this.list.replaceChildren(...this.items.values());
    for (const entry of this.entries) this.paint(entry);
    this.list.hidden = !this.entries.length;
    this.path.hidden = !this.entries.length;
    this.tools.hidden = !this.entries.length && !this.undo;
    for (const made of this.acting) made.hidden = !this.entries.length;
    this.pairs.hidden = this.kind !== "File" || !pairsOf(this.entries).pairs.length;
    this.showCount();
    if (hadFocus) this.items.get(this.current)?.focus();
    this.progress.show(this.entries);
  }

  showCount() {
    const chosen = this.chosen.size ? `, ${this.chosen.size} selected` : "";
    this.count.textContent = `${countOf(this.entries.length, this.noun)}${chosen}`;
    this.taker.hidden = !this.undo;
    this.taker.title = this.undo ? `Undo ${this.undo.text}` : "";
    const [shown] = this.meant;
    this.path.textContent = shown?.where ?? "";
    const upload = this.box.querySelector("[data-act=upload]");
    if (upload && this.box.hasAttribute("data-one")) {
      upload.textContent = this.entries.length ? "More files…" : "Upload…";
    }
  }

  // The entry that keys act on is the only one that Tab stops at.
  point(entry) {
    if (!entry || entry === this.current) return;
    const before = this.current;
    this.current = entry;
    if (before) this.paint(before);
    this.paint(entry);
    this.showCount();
  }

  choose(entries) {
    this.chosen = new Set(entries);
    for (const entry of this.entries) {
      this.items.get(entry)?.setAttribute("aria-selected", String(this.chosen.has(entry)));
    }
    this.showCount();
  }

  item(entry) {
    const item = element("li");
    item.id = `${this.box.dataset.name}-${entry.id}`;
    item.setAttribute("role", "option");
    item.draggable = true;
    item.entry = entry;
    item.append(element("span", "", "name"), element("span", "", "status"));
    return item;
  }

  paint(entry) {
    const item = this.items.get(entry);
    if (!item) return;
    const [name, status] = item.children;
    name.textContent = entry.name;
    status.textContent = statusOf(entry);
    item.title = entry.where || entry.name;
    item.tabIndex = entry === this.current ? 0 : -1;
    item.setAttribute("aria-selected", String(this.chosen.has(entry)));
    const isWrong = entry.hasFailed || Boolean(entry.problem?.isConnected);
    item.classList.toggle("wrong", isWrong);
    if (entry.problem?.isConnected) item.setAttribute("aria-describedby", entry.problem.id);
    else item.removeAttribute("aria-describedby");
  }

  refresh() {
    clearTimeout(this.redraw);
    this.redraw = null;
    for (const entry of this.changedEntries) this.paint(entry);
    this.changedEntries.clear();
    this.showCount();
    this.progress.show(this.entries);
  }
}

function statusOf(entry) {
  if (entry.line !== null) return "";
  const { state, bytes, done, error } = entry.group;
  if (state === "waiting") return "waits";
  if (state === "sending") return bytes ? `${Math.floor((100 * done) / bytes)} %` : "";
  return error;
}
