// Follow what a running command prints. Asking slows down while it prints nothing, and rests unseen.
import { getJson } from "./http.js";

const FIRST_MS = 1000;
const MAX_PAUSE_MS = 15000;
const MAX_CHARACTERS = 262144;

class Log {
  pause = FIRST_MS;
  timer = null;

  constructor(box) {
    this.box = box;
    this.end = Number(box.dataset.end);
  }

  follow() {
    document.addEventListener("visibilitychange", () => {
      this.pause = FIRST_MS;
      this.schedule();
    });
    this.schedule();
  }

  schedule() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    this.timer = setTimeout(() => this.look(), this.pause);
    this.pause = Math.min(Math.max(this.pause, FIRST_MS) * 1.3, MAX_PAUSE_MS);
  }

  async look() {
    try {
      this.show(await getJson(`${this.box.dataset.log}&offset=${this.end}`, 1));
    } catch {
      /* the server is away: the next look may find it */
    }
    this.schedule();
  }

  show(part) {
    if (!part.text) return;
    const { box } = this;
    const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    box.textContent = (box.textContent + part.text).slice(-MAX_CHARACTERS);
    box.parentElement.querySelector(".log-empty").hidden = true;
    this.end = part.end;
    this.pause = part.end < part.size ? 0 : FIRST_MS;
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }
}

for (const box of document.querySelectorAll("pre.log")) box.scrollTop = box.scrollHeight;
for (const box of document.querySelectorAll("pre[data-log]")) new Log(box).follow();
