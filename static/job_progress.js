// How far the uploads of an input are: all of them together, those on their way one by one, and what can be done.
import { button, element } from "./dom.js";

const SIZES = ["bytes", "kB", "MB", "GB", "TB"];
const QUARTERS = 4;

export class Progress {
  told = 0; // quarters that were announced
  signature = "";

  // `acts` are {cancelAll, retry, say}; `title` is the input's.
  constructor(place, title, acts) {
    this.place = place;
    this.title = title;
    this.acts = acts;
  }

  // Show the uploads among the entries of the input.
  show(entries) {
    const uploads = entries.filter((entry) => entry.group);
    const waiting = uploads.filter((entry) => entry.isWaiting);
    const failed = uploads.filter((entry) => entry.hasFailed);
    this.place.toggleAttribute("data-busy", waiting.length > 0);
    this.place.toggleAttribute("data-failed", failed.length > 0);
    this.place.hidden = !waiting.length && !failed.length;
    this.announce(uploads, waiting, failed);
    if (this.place.hidden) return;
    this.paint(uploads, waiting, failed);
  }

  paint(uploads, waiting, failed) {
    const active = waiting.filter((entry) => entry.group.state === "sending");
    const signature = JSON.stringify([active.map((entry) => entry.id), failed.length, waiting.length > 0]);
    if (signature !== this.signature) this.build(active, waiting, failed);
    this.signature = signature;
    const bytes = (some) => some.reduce((sum, entry) => sum + entry.group.bytes, 0);
    const done = uploads.reduce((sum, entry) => sum + entry.group.done, 0);
    const arrived = uploads.length - waiting.length - failed.length;
    this.bar.max = bytes(uploads) || 1;
    this.bar.value = done;
    const ending = failed.length ? `, ${failed.length} failed` : "";
    this.text.textContent = `${arrived} of ${uploads.length} uploaded, ${sizeText(done)} of ${sizeText(bytes(uploads))}${ending}`;
    for (const [entry, bar] of this.bars) {
      bar.max = entry.group.bytes || 1;
      bar.value = entry.group.done;
    }
  }

  build(active, waiting, failed) {
    const focused = this.place.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.bar = barOf(`Uploads for ${this.title}`);
    this.text = element("span", "", "count");
    const row = element("div", "", "row");
    row.append(this.bar, this.text);
    if (waiting.length) {
      row.append(this.button("Cancel all", `Cancel all uploads for ${this.title}`, this.acts.cancelAll));
    }
    if (failed.length) {
      row.append(this.button("Try again", `Try failed uploads for ${this.title} again`, this.acts.retry));
    }
    this.bars = new Map(active.map((entry) => [entry, barOf(`Upload of ${entry.name}`)]));
    const list = element("ul", "", "uploads");
    list.append(...active.map((entry) => this.item(entry)));
    this.place.replaceChildren(row, list);
    const same = [...this.place.querySelectorAll("button")].find((shown) => shown.textContent === focused);
    if (focused) same?.focus();
  }

  item(entry) {
    const item = element("li", "", "row");
    const cancel = this.button("Cancel", `Cancel the upload of ${entry.name}`, () => entry.group.cancel());
    item.append(this.bars.get(entry), element("span", entry.name, "name"), cancel);
    return item;
  }

  button(text, label, act) {
    const made = button(text, act, "btn outline small");
    made.setAttribute("aria-label", label);
    return made;
  }

  announce(uploads, waiting, failed) {
    const ended = uploads.length - waiting.length;
    const quarter = uploads.length ? Math.floor((QUARTERS * ended) / uploads.length) : 0;
    if (quarter > this.told && uploads.length > 1 && quarter < QUARTERS) {
      this.acts.say(`${this.title}: ${ended} of ${uploads.length} uploads are done.`);
    }
    if (waiting.length) this.wasBusy = true;
    else if (this.wasBusy) this.end(uploads, failed);
    this.told = waiting.length ? quarter : 0;
  }

  end(uploads, failed) {
    this.wasBusy = false;
    const arrived = uploads.length - failed.length;
    const text = `${this.title}: ${countOf(arrived, "file")} uploaded`;
    this.acts.say(failed.length ? `${text}, ${failed.length} failed: ${failed[0].group.error}` : `${text}.`);
  }
}

function barOf(label) {
  const bar = element("progress");
  bar.setAttribute("aria-label", label);
  return bar;
}

function sizeText(bytes) {
  const power = Math.min(SIZES.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const number = bytes / 1000 ** power;
  return `${power && number < 10 ? number.toFixed(1) : Math.round(number)} ${SIZES[power]}`;
}

export const countOf = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
