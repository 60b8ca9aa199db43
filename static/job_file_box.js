// One file or folder in the form: a field for where it is, shown by its name once it is a URI.
import { button } from "./dom.js";
import { Entry, isGiven, nameOf, objectOf } from "./job_entries.js";
import { groupsOf } from "./job_grouping.js";

export class FileBox {
  constructor(box, page) {
    this.box = box;
    this.page = page;
    this.field = box.querySelector(".path input");
    this.row = box.querySelector(":scope > [data-progress]");
    [this.bar, this.text, this.cancel] = this.row.children;
    this.cancel.addEventListener("click", () => this.entry?.group.cancel());
    this.chip = button("", () => this.edit(), "btn outline chip");
    this.field.before(this.chip);
    this.field.addEventListener("blur", () => this.paint());
    this.paint();
  }

  // Show the name of a file that nobody has typed the place of.
  paint() {
    const { value } = this.field;
    const isNamed = isGiven(value) && !this.field.hasAttribute("aria-invalid");
    this.chip.hidden = !isNamed;
    this.field.hidden = isNamed;
    this.chip.textContent = isNamed ? nameOf(value) : "";
    this.chip.title = value;
    this.chip.setAttribute("aria-label", `Path of ${this.box.dataset.title}: ${this.chip.textContent}. Change`);
  }

  edit() {
    this.chip.hidden = true;
    this.field.hidden = false;
    this.field.focus();
  }

  put(place) {
    this.field.value = place;
    this.field.dispatchEvent(new Event("change", { bubbles: true }));
    this.field.removeAttribute("aria-invalid");
    this.paint();
  }

  // Upload what was chosen: one file, with those that belong to it, or one folder.
  upload(files) {
    const { groups, left } = groupsOf(files, { ...this.box.dataset, kind: this.box.dataset.file, ...this.means() });
    if (groups.length === 1 && !left.length) {
      const entry = new Entry({ group: groups[0] });
      this.take(entry);
      this.page.queue.add(entry.group);
    } else {
      this.tell(
        this.box.dataset.file === "Directory" ? "Choose one folder with files in it." : "This input takes one file.",
      );
    }
  }

  means() {
    return { patterns: JSON.parse(this.box.dataset.patterns), globs: "", all: true };
  }

  // Show an entry here, which may still be on its way.
  take(entry) {
    if (this.entry?.isWaiting) this.entry.group.cancel();
    this.unwatch?.();
    this.entry = entry;
    if (entry.line !== null) this.settle();
    else {
      this.unwatch = entry.watch(() => this.moved());
      this.moved();
    }
  }

  moved() {
    const { entry } = this;
    if (entry.line !== null) this.settle();
    else if (entry.hasFailed) this.tell(entry.group.error, true);
    else this.showProgress(entry.group);
  }

  showProgress(group) {
    this.row.hidden = false;
    this.row.removeAttribute("data-failed");
    this.row.setAttribute("data-busy", "");
    for (const shown of [this.bar, this.cancel]) shown.hidden = false;
    this.bar.max = group.bytes || 1;
    this.bar.value = group.done;
    this.text.textContent = `${group.name}, ${Math.floor((100 * this.bar.value) / this.bar.max)} %`;
  }

  settle() {
    this.unwatch?.();
    const { line, group } = this.entry;
    const { location, path, format, ...more } = objectOf(line) ?? { location: line };
    delete more.class;
    this.put(location ?? path ?? "");
    if (format) this.box.querySelector(`[name$="-format"]`).value = format;
    if (Object.keys(more).length) this.box.querySelector(`[name$="-more"]`).value = JSON.stringify(more);
    if (!group) return;
    this.tell(`Uploaded: ${countText(group)}`);
    this.page.say(`${this.box.dataset.title}: the upload is done.`);
  }

  tell(text, isFailure = false) {
    this.row.hidden = false;
    this.row.removeAttribute("data-busy");
    this.row.toggleAttribute("data-failed", isFailure);
    for (const shown of [this.bar, this.cancel]) shown.hidden = true;
    this.text.textContent = text;
    if (isFailure) this.page.say(`${this.box.dataset.title}: ${text}`);
  }
}

const countText = (group) => (group.parts.length === 1 ? group.name : `${group.parts.length} files`);
