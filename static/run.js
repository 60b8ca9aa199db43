// Keep the page of a run up to date. Polling slows down while nothing changes, and rests unseen.
"use strict";
(() => {
  const state = document.getElementById("run-state");
  if (!state) return;
  const FIRST_MS = 1000;
  const LONGEST_MS = 15000;
  const script = { "X-Requested-With": "XMLHttpRequest" };
  let pause = FIRST_MS;
  let timer = null;

  async function refresh() {
    try {
      const answer = await fetch(state.dataset.url, { headers: script });
      const data = await answer.json();
      if (answer.ok) show(data);
    } catch { /* the server is away: the next look may find it */ }
    schedule();
  }

  function show(data) {
    if (data.html !== state.dataset.shown) {
      const open = [...state.querySelectorAll("details")].map((item) => item.open);
      state.innerHTML = data.html;
      state.querySelectorAll("details").forEach((item, index) => { item.open = Boolean(open[index]); });
      window.cwl.localTimes(state);
      state.dataset.shown = data.html;
      pause = FIRST_MS;
    }
    if (data.ended) {
      state.dataset.ended = "yes";
      document.dispatchEvent(new CustomEvent("cwl:ended"));
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (state.dataset.ended === "yes" || document.hidden) return;
    timer = setTimeout(refresh, pause);
    pause = Math.min(pause * 1.2, LONGEST_MS);
  }

  document.addEventListener("visibilitychange", () => { pause = FIRST_MS; schedule(); });
  document.addEventListener("cwl:stopped", (event) => { if (!event.detail.removed) refresh(); });
  schedule();
})();
