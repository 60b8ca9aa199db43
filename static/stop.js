// Stop one run or many: ask once, show what is being stopped and how long it takes, then what was stopped.
"use strict";
(() => {
  const dialog = document.getElementById("stop-dialog");
  if (!dialog) return;
  const script = { "X-Requested-With": "XMLHttpRequest" };
  const POLL_MS = 500;
  const AT_ONCE = 4;
  const LINES = 8;
  const form = document.getElementById("stop-form");
  const panel = document.getElementById("stop-progress");
  const said = document.getElementById("stop-said");
  const button = document.getElementById("stop-button");
  const chosenButton = document.getElementById("stop-chosen");
  const all = document.getElementById("stop-all");
  let targets = [];

  const byId = (id) => document.getElementById(id);
  const choices = () => [...document.querySelectorAll("[data-stop-choice]")].filter((box) => !box.disabled);
  const chosen = () => choices().filter((box) => box.checked);
  const element = (tag, text, className = "") => {
    const made = document.createElement(tag);
    made.textContent = text;
    made.className = className;
    return made;
  };

  function ask(asked) {
    targets = asked;
    const many = targets.length > 1;
    form.reset();
    byId("stop-title").textContent = many ? `Stop ${targets.length} runs?` : "Stop this run?";
    const names = targets.slice(0, LINES).map((target) => element("li", target.dataset.runId));
    if (targets.length > LINES) names.push(element("li", `and ${targets.length - LINES} more`, "muted"));
    byId("stop-names").replaceChildren(...names);
    byId("stop-remove").hidden = !targets.every((target) => "removable" in target.dataset);
    name();
    dialog.showModal();
  }

  function name() {
    const what = targets.length > 1 ? `${targets.length} runs` : "run";
    byId("stop-submit").textContent = form.elements.remove.checked ? `Stop and delete ${what}` : `Stop ${what}`;
  }

  // One run in the panel: its name, how long it takes, and what is left of it.
  function entry(target) {
    const box = element("div", "", "alert info");
    const inside = element("div", "");
    const title = element("strong", `Stopping ${target.dataset.runId}`);
    const time = element("span", "", "muted");
    const lines = element("ul", "");
    inside.append(title, time, lines);
    box.append(inside);
    panel.append(box);
    panel.hidden = false;
    const began = performance.now();
    const list = (texts) => {
      const shown = texts.slice(0, LINES).map((text) => element("li", text));
      if (texts.length > LINES) shown.push(element("li", `and ${texts.length - LINES} more`));
      lines.replaceChildren(...shown);
    };
    return {
      tick: (left, seconds) => {
        time.textContent = `${(seconds ?? (performance.now() - began) / 1000).toFixed(1)} s`;
        if (left) list(left);
      },
      end: (kind, text, details) => {
        box.className = `alert ${kind}`;
        title.textContent = target.dataset.runId;
        time.className = "lines";
        time.textContent = text;
        list(details || []);
        said.textContent = `${target.dataset.runId}: ${text}`;
        return box;
      },
    };
  }

  function follow(target, shown) {
    let timer = null;
    const look = async () => {
      try {
        const data = await (await fetch(target.dataset.progress, { headers: script })).json();
        if (timer !== null) shown.tick(data.left);
      } catch { /* the answer to the stop will say it */ }
      if (timer !== null) timer = setTimeout(look, POLL_MS);
    };
    timer = setTimeout(look, POLL_MS);
    const clock = setInterval(() => shown.tick(), 100);
    return () => { clearTimeout(timer); timer = null; clearInterval(clock); };
  }

  async function stop(target, fields) {
    const shown = entry(target);
    const unfollow = follow(target, shown);
    disable(target, "The run is being stopped.");
    try {
      const answer = await fetch(target.dataset.url, { method: "POST", body: fields, headers: script });
      const data = await answer.json();
      unfollow();
      if (answer.ok) ended(target, shown, data);
      else {
        shown.end("error", data.detail, (data.problems || []).filter((text) => !data.detail.includes(text)));
        enable(target);
      }
    } catch {
      unfollow();
      shown.end("error", "The server can't be reached. It may still be stopping the run; try again to see.");
      enable(target);
    }
  }

  function ended(target, shown, data) {
    const by = data.user ? ` Stopped by ${data.user}.` : "";
    const box = shown.end("success", `${data.message}${by} It took ${data.seconds.toFixed(1)} s.`);
    disable(target, "The run has ended.");
    const row = target.closest("tr");
    if (data.removed && row) row.remove();
    else if (data.removed) {
      const link = element("a", "See the other runs");
      link.href = form.dataset.runs;
      box.firstChild.append(link);
    } else if (row && row.querySelector(".badge")) {
      const badge = row.querySelector(".badge");
      badge.dataset.state = data.user ? "stopped" : "failed";
      badge.textContent = data.user ? `Stopped by ${data.user}` : "failed";
    }
    document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: data }));
  }

  function disable(target, why) {
    if (target === button) {
      button.setAttribute("aria-disabled", "true");
      button.parentElement.title = byId("why-not-stop").textContent = why;
    } else {
      target.checked = false;
      target.disabled = true;
      target.title = why;
      count();
    }
  }

  function enable(target) {
    target.disabled = false;
    target.title = "";
    if (target !== button) return;
    button.removeAttribute("aria-disabled");
    button.parentElement.title = byId("why-not-stop").textContent = "";
  }

  function count() {
    const number = chosen().length;
    if (!chosenButton) return;
    chosenButton.textContent = number ? `Stop ${number} chosen run${number > 1 ? "s" : ""}` : "Stop chosen runs";
    chosenButton.setAttribute("aria-disabled", String(!number));
    all.disabled = !choices().length;
    all.checked = Boolean(number) && number === choices().length;
    all.indeterminate = Boolean(number) && !all.checked;
  }

  form.addEventListener("change", name);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    const waiting = [...targets];
    dialog.close();
    panel.replaceChildren();
    const work = async () => { while (waiting.length) await stop(waiting.shift(), fields); };
    const workers = Array.from({ length: Math.min(AT_ONCE, waiting.length) }, work);
    panel.focus();
    await Promise.all(workers);
  });

  if (button) {
    button.addEventListener("click", () => { if (button.getAttribute("aria-disabled") !== "true") ask([button]); });
    document.addEventListener("cwl:ended", () => {
      if (panel.hidden) disable(button, "The run has ended.");
    });
  }
  if (button && "stopping" in button.dataset) watch();
  if (chosenButton) {
    chosenButton.addEventListener("click", () => { if (chosen().length) ask(chosen()); });
    all.addEventListener("change", () => {
      for (const box of choices()) box.checked = all.checked;
      count();
    });
    document.addEventListener("change", (event) => { if (event.target.matches("[data-stop-choice]")) count(); });
    count();
  }

  // Somebody else stops this run.
  async function watch() {
    const shown = entry(button);
    for (;;) {
      let data = {};
      try {
        data = await (await fetch(button.dataset.progress, { headers: script })).json();
      } catch { /* look again */ }
      if (!data.user) break;
      shown.tick(data.left, data.seconds);
      await new Promise((done) => { setTimeout(done, POLL_MS); });
    }
    shown.end("success", "The stop has ended.");
    document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: {} }));
  }
})();
