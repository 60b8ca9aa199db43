// Upload a file of an input to the object store of the site: its parts straight to it, by addresses that the server signs
// for one part each; or through the server, where this browser does not get there.
import { getJson, send } from "./http.js";
import { forget, letRest, recall, remember } from "./upload_memory.js";

const CONFLICT = 409;
const MAX_ROUNDS = 3; // of sending what the store then has not

export async function sendStored(queue, group, file, path, signal) {
  try {
    return await sendOn(queue, group, file, path, signal);
  } finally {
    letRest(file);
  }
}

async function sendOn(queue, group, file, path, signal) {
  const api = queue.settings.stored;
  const begun = await goOn(queue, group, file, path, signal);
  const state = begun ?? (await begin(queue, group, file, path, signal));
  const isOver = () => {
    group.ids.delete(state.id);
    forget(api, path, file, state.id);
  };
  if (!state.file) {
    group.ids.add(state.id);
    remember(api, path, file, { id: state.id, folder: group.folder });
    try {
      state.file = await arrive(queue, group, file, state, signal);
    } catch (error) {
      if (signal.aborted || error.status === CONFLICT) {
        isOver();
        giveUp(api, state.id);
      }
      throw error;
    }
  }
  isOver();
  return state.file;
}

// What was begun before, perhaps on another page: {id, arrived, ...}, or null.
async function goOn(queue, group, file, path, signal) {
  const known = recall(queue.settings.stored, path, file);
  const fits = known && (group.parts.length === 1 || known.folder === group.folder);
  const state = fits ? await getJson(`${queue.settings.stored}/${known.id}`, 1).catch(() => null) : null;
  signal.throwIfAborted();
  if (state) group.folder = known.folder;
  return state;
}

function begin(queue, group, file, path, signal) {
  const query = new URLSearchParams({ name: path, folder: group.folder, size: file.size });
  return queue.again(() => queue.request("POST", `${queue.settings.stored}?${query}`, null, signal), signal);
}

// Send all parts, and once more those that the store turns out not to have; return where the file is.
async function arrive(queue, group, file, begun, signal) {
  const url = `${queue.settings.stored}/${begun.id}`;
  let state = begun;
  for (let round = 1; ; round += 1) {
    await sendParts(queue, group, file, state, signal);
    try {
      const done = await queue.again(() => queue.request("POST", `${url}/complete`, null, signal), signal);
      return done.file;
    } catch (error) {
      if (error.status !== CONFLICT || round === MAX_ROUNDS) throw error;
      state = await queue.again(() => getJson(url, 1), signal);
      if (state.arrived.length === state.parts) throw error; // it is about something else
    }
  }
}

async function sendParts(queue, group, file, state, signal) {
  const way = { isDirect: true };
  let sent = 0;
  for (let number = 1; number <= state.parts; number += 1) {
    const start = (number - 1) * state.part_size;
    const part = file.slice(start, start + state.part_size);
    if (!state.arrived.includes(number)) {
      const onProgress = (loaded) => group.moved(file, sent + loaded);
      const url = `${queue.settings.stored}/${state.id}/parts/${number}`;
      await queue.again(() => sendPart(queue, way, { url, part, onProgress, signal }), signal);
    }
    sent += part.size;
    group.moved(file, sent);
  }
}

// A part that does not get to the store goes through the server, as do those after it.
async function sendPart(queue, way, wanted) {
  way.isDirect &&= await sendStraight(queue, wanted);
  const { url, part, onProgress, signal } = wanted;
  if (!way.isDirect) await queue.request("PUT", url, part, signal, onProgress);
}

// Whether a part has got to the store.
async function sendStraight(queue, { url, part, onProgress, signal }) {
  const signed = await queue.request("POST", url, null, signal);
  if (!signed.url) return false;
  try {
    await send("PUT", signed.url, part, { onProgress, signal, isElsewhere: true });
    return true;
  } catch (error) {
    if (signal.aborted) throw error;
    return false;
  }
}

// Who cancels does not go on later; what can't be given up now is so after a week.
function giveUp(api, id) {
  send("DELETE", `${api}/${id}`, null).catch(() => {});
}
