// Choose files or folders of the server: a dialog that goes through the folders the user may read, with a filter.
import { button, byId, element } from "./dom.js";
import { getJson } from "./http.js";
import { countOf } from "./job_progress.js";

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
  for (const part of ["all", "clear", "choose"]) byId(`browse-${part}`).hidden = true;
  dialog.showModal();
  show("");
}

async function show(path) {
  const note = byId("browse-message");
  const number = (looked += 1);
  note.textContent = "Looking…";
  const match = byId("browse-filter").value.trim();
  try {
    const query = new URLSearchParams({ path, ...(match && { match }) });
    const found = await getJson(`${byId("trigger-form").dataset.browse}?${query}`);
    if (number !== looked) return;
    showFolder(found);
    note.textContent = noteOn(found);
  } catch (error) {
    if (number !== looked) return;
    note.textContent = error.message;
    if (!here) showFolder({ path: "", trail: [], entries: [] });
  }
}

function noteOn(folder) {
  const hidden = folder.hidden
    ? `${countOf(folder.hidden, "file")} of other names ${folder.hidden === 1 ? "is" : "are"} left out.`
    : "";
  if (folder.truncated) return `There are more; only the first ones are shown. ${hidden}`;
  return folder.entries.length
    ? hidden
    : `${folder.hidden ? "Nothing here fits the filter." : "This folder is empty."} ${hidden}`;
}

function showFolder(folder) {
  here = folder;
  const trail = [{ name: "Folders", path: "" }, ...folder.trail];
  byId("browse-path").replaceChildren(...trail.map((part) => entryButton(part.name, () => show(part.path))));
  byId("browse-list").replaceChildren(...folder.entries.map(entryItem));
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
  item.append(element("span", entry.size_text || "", "muted size"));
  return item;
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
  byId("browse-all").addEventListener("change", (event) => chooseAll(event.target.checked));
}

if (dialog) listen();
