// Keep the page of a run up to date. Polling slows down while nothing changes, and rests unseen.
import { byId } from "./dom.js";
import { load } from "./graph.js";
import { getNews } from "./http.js";
import { reload } from "./lazy.js";
import { morph } from "./morph.js";
import { Polling } from "./polling.js";
import { keepTicking } from "./ticking.js";

const FIRST_MS = 1000;
const MAX_PAUSE_MS = 30000;
const MAX_PAUSE_AFTER_END_MS = 300000; // then only reports are waited for

class RunPage {
  tag = null;
  news = null;
  graph = null;

  constructor(state) {
    this.state = state;
    const most = () => (this.hasEnded() ? MAX_PAUSE_AFTER_END_MS : MAX_PAUSE_MS);
    const isOver = () => this.state.dataset.over === "yes";
    this.polling = new Polling(() => this.look(), { first: FIRST_MS, most, isOver });
  }

  follow() {
    document.addEventListener("cwl:stopped", (event) => {
      if (!event.detail.removed) this.polling.now();
    });
    if (!this.hasEnded()) keepTicking(this.state, () => this.hasEnded());
    this.drawGraph(byId("graph"));
    this.polling.begin();
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

  async look() {
    const changed = await getNews(this.state.dataset.url, this.tag);
    if (!changed) return false;
    this.tag = changed.tag;
    return this.show(changed.data);
  }

  // Show what the server says; return whether something has happened, and not only time gone by.
  show(data) {
    for (const [name, html] of Object.entries(data.parts)) morph(byId(`run-${name}`), html);
    this.state.dataset.states = JSON.stringify(data.states);
    this.graph?.setStates(data.states);
    const isNews = data.news !== this.news;
    if (isNews && this.news !== null) document.querySelectorAll("#run-steps details[data-loaded]").forEach(reload);
    this.news = data.news;
    if (data.over) this.state.dataset.over = "yes";
    if (data.ended) {
      this.state.dataset.ended = "yes";
      document.dispatchEvent(new CustomEvent("cwl:ended"));
    }
    return isNews;
  }
}

const state = byId("run-state");
if (location.hash === "#run-label") byId("run-label")?.showModal();
if (state) new RunPage(state).follow();
