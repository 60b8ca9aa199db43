// Keys and mouse in a list of files: point, select, move, remove, as WAI-ARIA has it for a listbox.
import { movedBefore } from "./job_entries.js";

const TURNED = { ArrowUp: -1, ArrowDown: 1 };

// Let the element of a FileList be used.
export function listen(list) {
  const state = { anchor: null, dragged: null };
  list.list.addEventListener("keydown", (event) => onKey(list, state, event));
  list.list.addEventListener("click", (event) => onClick(list, state, event));
  list.list.addEventListener("focusin", (event) => list.point(event.target.entry));
  for (const [name, act] of Object.entries(DRAGGING)) {
    list.list.addEventListener(name, (event) => act(list, state, event, event.target.closest?.("li")));
  }
}

// From where a selection began to an entry.
function range(list, { anchor }, to) {
  const known = list.entries.includes(anchor) ? anchor : list.current;
  const ends = [list.entries.indexOf(known), list.entries.indexOf(to)];
  return list.entries.slice(Math.min(...ends), Math.max(...ends) + 1);
}

function toggle(list, state, entry) {
  const chosen = new Set(list.chosen);
  if (!chosen.delete(entry)) chosen.add(entry);
  state.anchor = entry;
  list.choose(chosen);
}

function onClick(list, state, event) {
  const entry = event.target.closest("li")?.entry;
  if (!entry) return;
  if (event.shiftKey) list.choose(range(list, state, entry));
  else if (event.ctrlKey || event.metaKey) toggle(list, state, entry);
  else {
    state.anchor = entry;
    list.choose([entry]);
  }
  list.items.get(entry).focus();
}

function onKey(list, state, event) {
  const act = (event.ctrlKey || event.metaKey ? withControl : plain)(list, state, event) ?? motion(list, state, event);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

function plain(list, state, { key }) {
  if (key === " ") return () => toggle(list, state, list.current);
  if (key === "Delete" || key === "Backspace") return () => list.remove();
  return null;
}

function withControl(list, _state, { key }) {
  if (key === "a") return () => list.choose(list.entries);
  if (key === "z" && list.undo) return () => list.takeBack();
  return null;
}

function motion(list, state, { key, altKey, shiftKey }) {
  if (altKey) return TURNED[key] ? () => list.move(TURNED[key]) : null;
  const last = list.entries.length - 1;
  const here = list.entries.indexOf(list.current);
  const target = { Home: 0, End: last }[key] ?? here + TURNED[key];
  if (Number.isNaN(target)) return null;
  return () => step(list, state, list.entries[Math.max(0, Math.min(last, target))], shiftKey);
}

function step(list, state, entry, isExtended) {
  state.anchor = isExtended ? (state.anchor ?? list.current) : null;
  if (isExtended) list.choose(range(list, state, entry));
  list.items.get(entry).focus();
}

// Files from outside are none of these: nothing of the list is dragged then.
const DRAGGING = {
  dragstart(list, state, event, item) {
    state.dragged = list.chosen.has(item.entry) ? list.chosen : new Set([item.entry]);
    event.dataTransfer.setData("text/plain", item.entry.name);
    event.dataTransfer.effectAllowed = "move";
  },
  dragover(list, state, event, item) {
    if (!state.dragged) return;
    event.preventDefault();
    unmark(list);
    item?.classList.add("before");
  },
  drop(list, state, event, item) {
    if (!state.dragged) return;
    event.preventDefault();
    unmark(list);
    if (item) list.set(movedBefore(list.entries, state.dragged, item.entry));
    state.dragged = null;
  },
  dragend(list, state) {
    unmark(list);
    state.dragged = null;
  },
};

function unmark(list) {
  for (const marked of list.list.querySelectorAll(".before")) marked.classList.remove("before");
}
