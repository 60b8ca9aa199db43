// What is shown of runs that are being stopped: each one's name, how long it takes, and what is left of it.
import { byId, element } from "./dom.js";

const MAX_LINES = 8;

// The first lines as elements, and how many more there are.
export function shortList(texts) {
  const shown = texts.slice(0, MAX_LINES).map((text) => element("li", text));
  if (texts.length > MAX_LINES) shown.push(element("li", `and ${texts.length - MAX_LINES} more`, "muted"));
  return shown;
}

export class StopEntry {
  box = element("div", "", "alert info");
  inside = element("div");
  time = element("span", "", "muted");
  lines = element("ul");
  began = performance.now();

  constructor(name) {
    this.name = name;
    this.title = element("strong", `Stopping ${name}`);
    this.inside.append(this.title, this.time, this.lines);
    this.box.append(this.inside);
    const panel = byId("stop-progress");
    panel.append(this.box);
    panel.hidden = false;
  }

  tick(left, seconds = (performance.now() - this.began) / 1000) {
    this.time.textContent = `${seconds.toFixed(1)} s`;
    if (left) this.lines.replaceChildren(...shortList(left));
  }

  end(kind, text, details = []) {
    this.box.className = `alert ${kind}`;
    this.title.textContent = this.name;
    this.time.className = "lines";
    this.time.textContent = text;
    this.lines.replaceChildren(...shortList(details));
    byId("stop-said").textContent = `${this.name}: ${text}`;
  }

  addLink(text, href) {
    const link = element("a", text);
    link.href = href;
    this.inside.append(link);
  }
}
