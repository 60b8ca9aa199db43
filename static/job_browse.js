// Choose a file or folder of the server for an input: a dialog that goes through the folders the user may read.
import { button, byId, element } from "./dom.js";
import { getJson } from "./http.js";

const dialog = byId("browse");
let request = null; // {box, take}: for which input something is chosen

// Open the dialog for an input, and `take` the path that is chosen.
export function browse(box, take) {
  request = { box, take };
  dialog.showModal();
  show("");
}

async function show(path) {
  const note = byId("browse-message");
  note.textContent = "Looking…";
  try {
    const found = await getJson(`${byId("trigger-form").dataset.browse}?${new URLSearchParams({ path })}`);
    showFolder(found);
    note.textContent = noteOn(found);
  } catch (error) {
    note.textContent = error.message;
    if (path) showFolder({ path: "", trail: [], entries: [] });
  }
}

function noteOn(folder) {
  if (folder.truncated) return "There are more; only the first ones are shown.";
  return folder.entries.length ? "" : "This folder is empty.";
}

function showFolder(folder) {
  const wantsFolder = request.box.dataset.file === "Directory";
  const trail = [{ name: "Folders", path: "" }, ...folder.trail];
  byId("browse-path").replaceChildren(...trail.map((part) => entryButton(part.name, () => show(part.path))));
  byId("browse-list").replaceChildren(...folder.entries.map((entry) => entryItem(entry, wantsFolder)));
  const choose = byId("browse-choose");
  choose.hidden = !wantsFolder || !folder.path;
  choose.onclick = () => choosePath(folder.path);
}

function entryItem(entry, wantsFolder) {
  const item = element("li");
  const isFolder = entry.kind === "folder";
  const act = () => (isFolder ? show(entry.path) : choosePath(entry.path));
  const shown = entryButton(isFolder ? `${entry.name}/` : entry.name, act);
  shown.disabled = wantsFolder && !isFolder;
  item.append(shown, element("span", entry.size_text || "", "muted"));
  return item;
}

function entryButton(label, act) {
  return button(label, act, "entry");
}

function choosePath(path) {
  dialog.close();
  request.take(path);
}
