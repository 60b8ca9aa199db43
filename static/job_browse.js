// Choose files or folders of the server: a dialog that goes through the folders and buckets the user may read, with a
// filter.
import { button, byId, element } from "./dom.js";
import { getJson } from "./http.js";
import { countOf } from "./job_progress.js";
import { localTimes } from "./local_times.js";

const TYPING_MS = 250;
const dialog = byId("browse");
let request = null; // {kind, many, globs, title, take}: for which input something is chosen
let chosen = new Set(); // paths, of any folder, in the order in which they were chosen
let here = null; // the folder that is shown
let looked = 0; // answers that are not the last one's come too late

// Open the dialog for an input, and `take` the paths that are chosen; `globs` is what to look for first.
export function browse(wanted) {
  request = wanted;
  chosen = new Set();
  here = null;
  byId("browse-title").textContent = wanted.title ? `Files on the server for ${wanted.title}` : "Files on the server";
  const filter = byId("browse-filter");
  filter.value = wanted.globs ?? "";
  // What was found for another input is not to be chosen for this one.
  for (const part of ["path", "list"]) byId(`browse-${part}`).replaceChildren();
  for (const part of ["all", "clear", "choose", "more"]) byId(`browse-${part}`).hidden = true;
  dialog.showModal();
  show("");
}

const isStore = (path) => path.includes("://");

// A store has a few seconds to answer: to ask it again and again would only make people wait for the same.
async function look(path, after) {
  const match = byId("browse-filter").value.trim();
  const query = new URLSearchParams({ path, ...(match && { match }), ...(after && { after }) });
  return getJson(`${byId("trigger-form").dataset.browse}?${query}`, isStore(path) ? 1 : undefined);
}

async function show(path) {
  const note = byId("browse-message");
  const number = (looked += 1);
  note.textContent = "Looking…";
  try {
    const found = await look(path, "");
    if (number !== looked) return;
    showFolder(found);
    note.textContent = noteOn(found);
  } catch (error) {
    if (number !== looked) return;
    note.textContent = error.message;
    if (!here) showFolder({ path: "", trail: [], entries: [] });
  }
}

// The next page of a store, behind what is shown.
async function showMore() {
  const note = byId("browse-message");
  const number = (looked += 1);
  note.textContent = "Looking…";
  try {
    const found = await look(here.path, here.after);
    if (number !== looked) return;
    const shown = here.entries.length;
    const sum = (name) => here[name] + found[name];
    const entries = [...here.entries, ...found.entries];
    here = { ...here, after: found.after, entries, hidden: sum("hidden"), unusable: sum("unusable") };
    byId("browse-list").append(...found.entries.map(entryItem));
    showAround();
    note.textContent = noteOn(here);
    byId("browse-list").children[shown]?.querySelector("button:enabled, input")?.focus();
  } catch (error) {
    if (number === looked) note.textContent = error.message;
  }
}

function noteOn(folder) {
  const { hidden, unusable, entries } = folder;
  const told = [
    hidden ? `${countOf(hidden, "file")} of other names ${hidden === 1 ? "is" : "are"} left out.` : "",
    unusable ? `${countOf(unusable, "name")} that no job can have ${unusable === 1 ? "is" : "are"} left out.` : "",
  ];
  if (folder.truncated) told.unshift("There are more; only the first ones are shown.");
  else if (folder.after) told.unshift(`${entries.length} so far; there are more.`);
  else if (!entries.length) told.unshift(hidden ? "Nothing here fits the filter." : "This folder is empty.");
  return told.filter(Boolean).join(" ");
}

function showFolder(folder) {
  here = folder;
  const trail = [{ name: "Folders", path: "" }, ...folder.trail];
  byId("browse-path").replaceChildren(...trail.map((part) => entryButton(part.name || "/", () => show(part.path))));
  byId("browse-list").replaceChildren(...folder.entries.map(entryItem));
  byId("browse-path").lastElementChild.setAttribute("aria-current", "location");
  byId("browse-starts").hidden = !isStore(folder.path);
  showAround();
}

function showAround() {
  const folder = here;
  localTimes(byId("browse-list"));
  byId("browse-more").hidden = !folder.after;
  byId("browse-clear").hidden = !byId("browse-filter").value;
  byId("browse-all").hidden = !request.many || !folder.entries.some(isChoosable);
  showChoice();
}

function isChoosable(entry) {
  return (entry.kind === "folder") === (request.kind === "Directory") && Boolean(here.path);
}

function entryItem(entry) {
  const item = element("li");
  const isFolder = entry.kind === "folder";
  const act = () => (isFolder ? show(entry.path) : finish([entry.path]));
  if (request.many && isChoosable(entry)) item.append(checkbox(entry, isFolder));
  if (isFolder || !request.many) {
    const shown = entryButton(isFolder ? `${entry.name}/` : entry.name, act);
    shown.disabled = !isFolder && request.kind === "Directory";
    item.append(shown);
  } else if (!isChoosable(entry)) item.append(element("span", entry.name, "muted"));
  item.append(timeOf(entry), element("span", entry.size_text || "", "muted size"));
  return item;
}

function timeOf({ modified }) {
  const time = element("time", modified ? modified.slice(0, 10) : "", "muted");
  if (modified) time.dateTime = modified;
  return time;
}

function checkbox(entry, isFolder) {
  const label = element("label", "", "check");
  const box = element("input");
  box.type = "checkbox";
  box.value = entry.path;
  box.checked = chosen.has(entry.path);
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(entry.path);
    else chosen.delete(entry.path);
    showChoice();
  });
  label.append(box, element("span", isFolder ? `Choose ${entry.name}` : entry.name, isFolder ? "hidden" : ""));
  return label;
}

function entryButton(label, act) {
  return button(label, act, "entry");
}

function showChoice() {
  const choose = byId("browse-choose");
  const isFolder = request.kind === "Directory";
  const noun = isFolder ? "folder" : "file";
  if (request.many && (chosen.size || !isFolder)) {
    choose.textContent = `Choose ${countOf(chosen.size, noun)}`;
    choose.hidden = false;
    choose.disabled = !chosen.size;
    choose.onclick = () => finish([...chosen]);
  } else {
    choose.textContent = "Choose this folder";
    choose.hidden = !isFolder || !here.path;
    choose.disabled = false;
    choose.onclick = () => finish([here.path]);
  }
  const all = byId("browse-all").querySelector("input");
  const boxes = [...byId("browse-list").querySelectorAll("input")];
  all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
}

function chooseAll(isChosen) {
  for (const box of byId("browse-list").querySelectorAll("input")) {
    box.checked = isChosen;
    if (isChosen) chosen.add(box.value);
    else chosen.delete(box.value);
  }
  showChoice();
}

function finish(paths) {
  dialog.close();
  if (paths.length) request.take(paths);
}

function listen() {
  let typing = null;
  const again = () => here && show(here.path);
  byId("browse-filter").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(again, TYPING_MS);
  });
  byId("browse-clear").addEventListener("click", () => {
    byId("browse-filter").value = "";
    byId("browse-filter").focus();
    again();
  });
  byId("browse-more").addEventListener("click", showMore);
  byId("browse-all").addEventListener("change", (event) => chooseAll(event.target.checked));
}

if (dialog) listen();
