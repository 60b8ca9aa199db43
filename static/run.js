// Keep the page of a run up to date. Polling slows down while nothing changes, and rests unseen.
import { byId } from "./dom.js";
import { load } from "./graph.js";
import { getNews } from "./http.js";
import { reload } from "./lazy.js";
import { morph } from "./morph.js";

const FIRST_MS = 1000;
const MAX_PAUSE_MS = 30000;
const MAX_PAUSE_AFTER_END_MS = 300000; // then only reports are waited for

class RunPage {
  pause = FIRST_MS;
  timer = null;
  tag = null;
  news = null;
  graph = null;

  constructor(state) {
    this.state = state;
  }

  follow() {
    document.addEventListener("visibilitychange", () => {
      this.pause = FIRST_MS;
      this.schedule();
    });
    document.addEventListener("cwl:stopped", (event) => {
      if (!event.detail.removed) this.refresh();
    });
    if (!this.hasEnded()) setInterval(() => this.tick(), 1000);
    this.drawGraph(byId("graph"));
    this.schedule();
  }

  hasEnded() {
    return this.state.dataset.ended === "yes";
  }

  async drawGraph(target) {
    if (!target) return;
    try {
      this.graph = await load(target, { label: "Graph of the run" });
      this.graph.setStates(JSON.parse(this.state.dataset.states));
    } catch {
      target.closest("section").remove(); // the workflow was deleted: the table has the same
    }
  }

  schedule() {
    clearTimeout(this.timer);
    if (this.state.dataset.over === "yes" || document.hidden) return;
    this.timer = setTimeout(() => this.refresh(), this.pause);
    this.pause = Math.min(this.pause * 1.2, this.hasEnded() ? MAX_PAUSE_AFTER_END_MS : MAX_PAUSE_MS);
  }

  async refresh() {
    try {
      const changed = await getNews(this.state.dataset.url, this.tag);
      if (changed) {
        this.tag = changed.tag;
        this.show(changed.data);
      }
    } catch {
      /* the server is away: the next look may find it */
    }
    this.schedule();
  }

  show(data) {
    for (const [name, html] of Object.entries(data.parts)) morph(byId(`run-${name}`), html);
    this.state.dataset.states = JSON.stringify(data.states);
    this.graph?.setStates(data.states);
    if (data.news !== this.news) this.noteNews(data.news);
    if (data.over) this.state.dataset.over = "yes";
    if (data.ended) {
      this.state.dataset.ended = "yes";
      document.dispatchEvent(new CustomEvent("cwl:ended"));
    }
  }

  noteNews(news) {
    if (this.news !== null) document.querySelectorAll("#run-steps details[data-loaded]").forEach(reload);
    this.news = news;
    this.pause = FIRST_MS;
  }

  tick() {
    if (document.hidden) return;
    for (const shown of this.state.querySelectorAll("[data-since]")) {
      shown.textContent = duration(Math.max(0, (Date.now() - Date.parse(shown.dataset.since)) / 1000));
    }
  }
}

function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const state = byId("run-state");
if (state) new RunPage(state).follow();
