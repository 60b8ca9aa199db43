// The pictures of a run, one at a time: by a click, by buttons, by the arrow keys.
import { byId } from "./dom.js";

class Pictures {
  place = 0;

  constructor(dialog, links) {
    this.dialog = dialog;
    this.links = links;
    this.image = dialog.querySelector("img");
  }

  show(place) {
    this.place = Math.max(0, Math.min(place, this.links.length - 1));
    const link = this.links[this.place];
    this.image.src = link.href;
    this.image.alt = link.dataset.picture;
    byId("picture-name").textContent = link.dataset.picture;
    byId("picture-number").textContent = `${this.place + 1} of ${this.links.length}`;
    this.dialog.querySelector("a[download]").href = link.href.replace(/[?&]inline=true$/, "");
    for (const button of this.dialog.querySelectorAll("[data-step]")) {
      const next = this.place + Number(button.dataset.step);
      button.setAttribute("aria-disabled", String(next < 0 || next >= this.links.length));
    }
    if (!this.dialog.open) this.dialog.showModal();
  }

  onClick(event) {
    const link = event.target.closest("a[data-picture]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && link.querySelector("img")) {
      event.preventDefault();
      this.show(this.links.indexOf(link));
    }
    const step = event.target.closest("[data-step]");
    if (step) this.show(this.place + Number(step.dataset.step));
  }

  onKey(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return; // Alt and ← is the browser's
    event.preventDefault();
    this.show(this.place + steps[event.key]);
  }

  onClose() {
    this.links[this.place].focus();
  }
}

const dialog = byId("picture");
if (dialog) {
  const links = [...document.querySelectorAll("a[data-picture]")].filter((link) => link.querySelector("img"));
  const pictures = new Pictures(dialog, links);
  document.addEventListener("click", (event) => pictures.onClick(event));
  dialog.addEventListener("keydown", (event) => pictures.onKey(event));
  dialog.addEventListener("close", () => pictures.onClose());
}
