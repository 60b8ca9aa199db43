// Uploads that were broken off, kept by the browser: by where they go, and by the file.

function keyOf(api, file) {
  return `cwl-upload:${api}:${file.name}:${file.size}:${file.lastModified}`;
}

export function remember(api, file, state) {
  withStorage((storage) => storage.setItem(keyOf(api, file), JSON.stringify(state)));
}

export function forget(api, file) {
  withStorage((storage) => storage.removeItem(keyOf(api, file)));
}

export function recall(api, file) {
  return withStorage((storage) => JSON.parse(storage.getItem(keyOf(api, file))));
}

function withStorage(act) {
  try {
    return act(localStorage);
  } catch {
    return null; // there is no storage
  }
}
