// Files of a job: chosen on the server, uploaded, or dropped; lists of them, single ones, pairs.
import { button, byId, element } from "./dom.js";
import { filesOf, hasFiles } from "./dropped_files.js";
import { browse } from "./job_browse.js";
import { Entry, lineOf } from "./job_entries.js";
import { FileBox } from "./job_file_box.js";
import { FileList } from "./job_file_list.js";
import { groupsOf } from "./job_grouping.js";
import { askForPairs } from "./job_pairs.js";
import { countOf } from "./job_progress.js";
import { STILL_SENDING } from "./job_sending.js";
import { Queue } from "./job_upload.js";
import { pairsOf } from "./pairs.js";
import { toast } from "./toasts.js";

const form = byId("trigger-form");
const fields = byId("job-fields");
const ZONES = "[data-files], [data-pairs], [data-file]";
const made = new WeakMap(); // by its element: a FileList or a FileBox

// What lists and boxes share.
const page = {
  queue: form && new Queue(form.dataset),
  say,
  enhance,
  listOf: (box) => made.get(box),
  boxOf: (box) => made.get(box),
  lists: () => [...fields.querySelectorAll("[data-files]")].map((box) => made.get(box)).filter(Boolean),
  recordLists: () => [...fields.querySelectorAll("[data-pairs]")],
  pairs: (list) => {
    if (!askForPairs(page, { entries: list.entries, source: list })) say(NO_PLACE);
  },
  done: showDone,
};
const LEFT = {
  file: (number) => `${countOf(number, "file")}, hidden or of another type: left out.`,
  folder: () => "This input takes folders with files in them: choose or drop a folder.",
};
const NO_PLACE = "There is no second input for files here, and no record, that pairs could be put into.";

function say(text) {
  byId("job-status").textContent = text;
}

function enhance(root) {
  for (const box of root.querySelectorAll("[data-files]")) if (!made.has(box)) made.set(box, new FileList(box, page));
  for (const box of root.querySelectorAll("[data-file]")) if (!made.has(box)) made.set(box, new FileBox(box, page));
}

// --- choosing

function pick({ isFolder, many, accept }, take) {
  const input = element("input");
  input.type = "file";
  input.multiple = many;
  input.webkitdirectory = isFolder;
  if (accept && !isFolder) input.accept = accept;
  input.addEventListener("change", () =>
    take([...input.files].map((file) => [file.webkitRelativePath || file.name, file])),
  );
  input.click();
}

function addFiles(box, files, all = false) {
  const options = { kind: box.dataset.files ?? "File", patterns: JSON.parse(box.dataset.patterns ?? "[]") };
  const fresh = withoutTwins(box, files);
  const { groups, left } = groupsOf(fresh, { ...options, globs: box.dataset.globs ?? "", all });
  const entries = groups.map((group) => new Entry({ group }));
  if (box.matches("[data-pairs]")) addPairs(box, entries);
  else {
    made.get(box).add(entries);
    for (const { group } of entries) page.queue.add(group);
    tellAdded(box, entries, files.length - fresh.length, left);
  }
}

// The same drop twice, or a file that was chosen before: it is in the list already.
function withoutTwins(box, files) {
  const list = made.get(box);
  if (!list?.entries) return files;
  const there = new Set(list.entries.flatMap((entry) => entry.group?.parts ?? []).map(keyOf));
  const fresh = files.filter((part) => !there.has(keyOf(part)));
  return fresh;
}

function keyOf([path, file]) {
  return JSON.stringify([path, file.size, file.lastModified]);
}

function tellAdded(box, entries, twins, left) {
  const noun = box.dataset.files === "Directory" ? "folder" : "file";
  const begun = entries.length ? `Uploading ${countOf(entries.length, noun)} for ${box.dataset.title}.` : "";
  const rest = [
    twins ? `${countOf(twins, "file")} in the list already: left out.` : "",
    left.length ? LEFT[noun](left.length) : "",
  ].filter(Boolean);
  if (!begun && !rest.length) rest.push("There are no files in it.");
  note(box, rest.join(" "), left.length && noun === "file" ? tooButton(box, left) : null);
  say([begun, ...rest].join(" "));
  offerPairs(box);
}

function tooButton(box, left) {
  return button("Add them, too", () => addFiles(box, left, true), "btn outline small");
}

// One line about what was done, at the end of an input.
function note(box, text, action = null) {
  box.querySelector(":scope > .file-note")?.remove();
  if (!text) return;
  const line = element("p", "", "row file-note");
  line.append(element("span", text));
  if (action) {
    action.addEventListener("click", () => line.remove());
    line.append(action);
  }
  box.append(line);
}

function showDone(text, undo, box) {
  const back = button(
    "Undo",
    () => {
      undo();
      say("Undone: the files are where they were.");
    },
    "btn outline small",
  );
  note(box, text, back);
  say(text);
  back.focus();
}

// --- pairs

function offerPairs(box) {
  const list = made.get(box);
  const { pairs } = pairsOf(list.entries);
  const canTake = page.lists().filter((other) => other.kind === "File").length > 1 || page.recordLists().length;
  if (!pairs.length || !canTake || box.querySelector(":scope > .file-note")) return;
  const text = `${countOf(pairs.length, "pair")} of files recognised (R1 and R2).`;
  note(
    box,
    text,
    button("Show where they would go…", () => page.pairs(list), "btn outline small"),
  );
  say(`${byId("job-status").textContent} ${text}`);
}

function addPairs(box, entries) {
  const asked = askForPairs({ ...page, done: (...told) => startUploads(entries, told) }, { entries, record: box });
  if (!asked) note(box, "No pairs were recognised by their names: R1 and R2, or _1 and _2.");
}

function startUploads(entries, told) {
  showDone(...told);
  for (const entry of entries) if (entry.group && entry.watchers.size) page.queue.add(entry.group);
}

// --- the server's files

function browseFor(box, isMany) {
  const { file, files, globs, title } = box.dataset;
  const kind = files ?? file ?? "File";
  const take = (paths) => {
    if (files) takePlaces(box, paths);
    else if (file) made.get(box).put(paths[0]);
    else {
      addPairs(
        box,
        paths.map((path) => new Entry({ line: lineOf(path, "File") })),
      );
    }
  };
  browse({ kind, many: isMany, globs, title, take });
}

function takePlaces(box, paths) {
  const list = made.get(box);
  const there = new Set(list.entries.map((entry) => entry.where));
  const fresh = paths.filter((path) => !there.has(path));
  list.addPlaces(fresh, box.dataset.format);
  const twins = paths.length - fresh.length;
  note(box, twins ? `${countOf(twins, list.noun)} in the list already: left out.` : "");
  say(`${countOf(fresh.length, list.noun)} added to ${box.dataset.title}.`);
  offerPairs(box);
}

const ACTS = [
  ["[data-browse]", (box) => browseFor(box, false)],
  ["[data-act=browse], [data-pair-browse]", (box) => browseFor(box, true)],
  ["[data-upload]", (box) => pick(choiceFor(box), (files) => files.length && made.get(box).upload(files))],
  ["[data-act=upload]", (box) => pick({ many: true, accept: box.dataset.accept }, (files) => addFiles(box, files))],
  ["[data-act=folder]", (box) => pick({ isFolder: true, many: true }, (files) => addFiles(box, files))],
  ["[data-pair-upload]", (box) => pick({ many: true }, (files) => addFiles(box, files))],
];

function choiceFor({ dataset }) {
  const many = JSON.parse(dataset.patterns).length > 0;
  return { isFolder: dataset.file === "Directory", many, accept: dataset.accept };
}

function onClick(event) {
  const pressed = event.target.closest("button");
  const [, act] = (pressed && ACTS.find(([selector]) => pressed.matches(selector))) ?? [];
  if (act) act(pressed.closest(ZONES));
}

// --- dropping

// Where nothing takes files, a browser would open them instead of the form.
function onDragOver(event) {
  if (!hasFiles(event)) return;
  event.preventDefault();
  mark(zoneOf(event.target));
}

function mark(zone) {
  for (const over of fields.querySelectorAll(".over")) if (over !== zone) over.classList.remove("over");
  zone?.classList.add("over");
}

function zoneOf(target) {
  const zone = target.closest?.(ZONES);
  if (zone && fields.contains(zone)) return zone;
  const lists = fields.querySelectorAll("[data-files]");
  return lists.length === 1 ? lists[0] : null; // the only one that can be meant
}

async function onDrop(event) {
  if (!hasFiles(event)) return;
  event.preventDefault();
  const zone = zoneOf(event.target);
  mark(null);
  if (!zone) {
    toast("info", "Drop the files on the input that they are for.");
    return;
  }
  const files = await filesOf(event.dataTransfer);
  if (!files) return;
  if (zone.matches("[data-file]")) made.get(zone).upload(files);
  else addFiles(zone, files);
}

// Where no script of the form's own sees to that: nothing is sent before its files have arrived.
function onSubmit(event) {
  const busy = fields.querySelector("[data-busy]");
  if (!busy || byId("job-message") || event.submitter?.formNoValidate) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const box = busy.closest(ZONES);
  note(box, STILL_SENDING);
  box.scrollIntoView({ block: "center" });
  say(STILL_SENDING);
}

function listen() {
  form.addEventListener("submit", onSubmit, true);
  enhance(fields);
  new MutationObserver(() => enhance(fields)).observe(fields, { childList: true, subtree: true });
  fields.addEventListener("click", onClick);
  document.addEventListener("dragover", onDragOver);
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(null));
  document.addEventListener("drop", onDrop);
}

if (form) listen();
