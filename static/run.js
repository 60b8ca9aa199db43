// Keep the page of a run up to date. Polling slows down while nothing changes, and rests unseen.
"use strict";
(() => {
  const state = document.getElementById("run-state");
  if (!state) return;
  const FIRST_MS = 1000;
  const LONGEST_MS = 30000;
  const LONGEST_AFTER_END_MS = 300000; // then only reports are waited for
  const script = { "X-Requested-With": "XMLHttpRequest" };
  let pause = FIRST_MS;
  let timer = null;
  let tag = null;
  let news = null;
  let changedStates = () => {};

  async function refresh() {
    try {
      const answer = await fetch(state.dataset.url, { headers: tag ? { ...script, "If-None-Match": tag } : script, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag");
        show(await answer.json());
      }
    } catch { /* the server is away: the next look may find it */ }
    schedule();
  }

  function show(data) {
    for (const [name, html] of Object.entries(data.parts)) window.cwl.morph(document.getElementById(`run-${name}`), html);
    changedStates(data.states);
    if (data.news !== news) {
      if (news !== null) document.querySelectorAll("#run-steps details[data-loaded]").forEach(window.cwl.reload);
      news = data.news;
      pause = FIRST_MS;
    }
    if (data.over) state.dataset.over = "yes";
    if (data.ended) {
      state.dataset.ended = "yes";
      document.dispatchEvent(new CustomEvent("cwl:ended"));
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (state.dataset.over === "yes" || document.hidden) return;
    timer = setTimeout(refresh, pause);
    pause = Math.min(pause * 1.2, state.dataset.ended === "yes" ? LONGEST_AFTER_END_MS : LONGEST_MS);
  }

  function lasting(seconds) {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function tick() {
    if (document.hidden) return;
    for (const element of state.querySelectorAll("[data-since]")) {
      element.textContent = lasting(Math.max(0, (Date.now() - Date.parse(element.dataset.since)) / 1000));
    }
  }

  document.addEventListener("visibilitychange", () => { pause = FIRST_MS; schedule(); });
  document.addEventListener("cwl:stopped", (event) => { if (!event.detail.removed) refresh(); });
  if (state.dataset.ended !== "yes") setInterval(tick, 1000);
  const graph = document.getElementById("graph");
  if (graph) {
    window.cwlGraph.load(graph, { label: "Graph of the run" }).then((view) => {
      view.setStates(JSON.parse(state.dataset.states));
      changedStates = view.setStates;
    }, () => graph.closest("section").remove()); // the workflow was deleted: the table has the same
  }
  schedule();
})();
