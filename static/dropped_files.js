// Files, folders and zips that are dropped anywhere on a page, as [path, file].
import { toast } from "./toasts.js";

export function onDrop(zone, take) {
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    zone.scrollIntoView({ block: "nearest" });
    const found = await filesOf(event.dataTransfer);
    if (found) take(found);
  });
}

export function hasFiles(event) {
  return event.dataTransfer.types.includes("Files");
}

// What was dropped, or null, which the user is told, where that can't be read: none of it is taken then.
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file.name, file]);
  const found = [];
  try {
    for (const entry of entries) await walk(entry, found);
    return found;
  } catch (error) {
    toast("error", "What was dropped can't be read.", `${error.message} Choose the files with the button instead.`);
    return null;
  }
}

async function walk(entry, found) {
  if (entry.isFile) {
    found.push([entry.fullPath.slice(1), await new Promise((done, failed) => entry.file(done, failed))]);
    return;
  }
  const reader = entry.createReader();
  let batch;
  do {
    batch = await new Promise((done, failed) => reader.readEntries(done, failed));
    for (const inner of batch) await walk(inner, found);
  } while (batch.length); // a browser hands out a hundred at a time
}
