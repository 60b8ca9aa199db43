// Keep the page of a run up to date, and stop the run. Polling slows down while nothing changes, and rests unseen.
"use strict";
(() => {
  const state = document.getElementById("run-state");
  if (!state) return;
  const FIRST_MS = 1000;
  const LONGEST_MS = 15000;
  const script = { "X-Requested-With": "XMLHttpRequest" };
  const button = document.getElementById("stop-button");
  const result = document.getElementById("stop-result");
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
      button.disabled = true;
      document.getElementById("why-not-stop").textContent = "The run has ended.";
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (state.dataset.ended === "yes" || document.hidden) return;
    timer = setTimeout(refresh, pause);
    pause = Math.min(pause * 1.2, LONGEST_MS);
  }

  function tell(kind, text) {
    const box = document.createElement("div");
    box.className = `alert ${kind}`;
    box.textContent = text;
    result.replaceChildren(box);
  }

  document.addEventListener("visibilitychange", () => { pause = FIRST_MS; schedule(); });
  const form = document.getElementById("stop-form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.closest("dialog").close();
    button.disabled = true;
    tell("info", "Stopping the run…");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: script });
      const data = await answer.json();
      if (answer.ok) tell("success", `${data.message} It took ${data.seconds.toFixed(1)} s.`);
      else { tell("error", data.detail); button.disabled = false; }
    } catch {
      tell("error", "The server can't be reached. Try again.");
      button.disabled = false;
    }
    pause = FIRST_MS;
    refresh();
  });
  schedule();
})();
