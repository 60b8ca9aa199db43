// Uploads that were broken off: those of this page by their files, and those of earlier ones, which the browser keeps by
// where they go and by the file's path and properties.

const ofPage = new Map(); // by file: {id, folder, isSending}

function keyOf(api, path, file) {
  return `cwl-upload:${api}:${path}:${file.size}:${file.lastModified}`;
}

// What was begun of a file, {id, folder}, or null; it is this file's alone until it is let rest, or forgotten. Another
// file may look the same (an empty __init__.py does in each folder): what that sends, or has begun here, stays its own.
export function recall(api, path, file) {
  const known = ofPage.get(file) ?? kept(api, path, file);
  if (!known) return null;
  const others = [...ofPage].filter(([, { id }]) => id === known.id);
  if (others.some(([, { isSending }]) => isSending)) return null;
  for (const [other] of others) ofPage.delete(other); // it has failed, and its file was chosen again
  ofPage.set(file, { ...known, isSending: true });
  return known;
}

export function remember(api, path, file, { id, folder }) {
  ofPage.set(file, { id, folder, isSending: true });
  withStorage((storage) => storage.setItem(keyOf(api, path, file), JSON.stringify({ id, folder })));
}

// It is not sent any more for now.
export function letRest(file) {
  const known = ofPage.get(file);
  if (known) known.isSending = false;
}

export function forget(api, path, file, id) {
  if (ofPage.get(file)?.id === id) ofPage.delete(file);
  if (kept(api, path, file)?.id === id) withStorage((storage) => storage.removeItem(keyOf(api, path, file)));
}

function kept(api, path, file) {
  return withStorage((storage) => JSON.parse(storage.getItem(keyOf(api, path, file))));
}

function withStorage(act) {
  try {
    return act(localStorage);
  } catch {
    return null; // there is no storage
  }
}
