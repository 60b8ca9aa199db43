// Follow what a running command prints. Asking slows down while it prints nothing, and rests unseen.
import "./files.js"; // finds words in a whole log
import { getJson } from "./http.js";
import { Polling } from "./polling.js";

const FIRST_MS = 1000;
const MAX_PAUSE_MS = 15000;
const MAX_CHARACTERS = 262144;

function follow(box) {
  let end = Number(box.dataset.end);
  const look = async () => {
    const part = await getJson(`${box.dataset.log}&offset=${end}`, 1);
    if (!part.text) return false;
    show(box, part.text);
    ({ end } = part);
    return end < part.size ? 0 : true;
  };
  new Polling(look, { first: FIRST_MS, most: () => MAX_PAUSE_MS, slower: 1.3 }).begin();
}

function show(box, text) {
  const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
  box.textContent = (box.textContent + text).slice(-MAX_CHARACTERS);
  box.parentElement.querySelector(".log-empty").hidden = true;
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

for (const box of document.querySelectorAll("pre.log")) box.scrollTop = box.scrollHeight;
document.querySelectorAll("pre[data-log]").forEach(follow);
