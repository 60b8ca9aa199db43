// Stop one run or many: ask once, show what is being stopped and how long it takes, then what was stopped.
import { byId, pause } from "./dom.js";
import { getJson, postForm } from "./http.js";
import { shortList, StopEntry } from "./stop_panel.js";

const POLL_MS = 500;
const CLOCK_MS = 100;
const MAX_AT_ONCE = 4;
const BEING_STOPPED = "The run is being stopped.";
const HAS_ENDED = "The run has ended.";
const UNREACHABLE = "The server can't be reached. It may still be stopping the run; try again to see.";

const dialog = byId("stop-dialog");
const form = byId("stop-form");
const button = byId("stop-button"); // on the page of one run
const chosenButton = byId("stop-chosen"); // in the list of runs
const all = byId("stop-all");
let targets = [];

const choices = () => [...document.querySelectorAll("[data-stop-choice]")].filter((box) => !box.disabled);
const chosen = () => choices().filter((box) => box.checked);

// --- asking

function ask(asked) {
  targets = asked;
  form.reset();
  byId("stop-title").textContent = targets.length > 1 ? `Stop ${targets.length} runs?` : "Stop this run?";
  byId("stop-names").replaceChildren(...shortList(targets.map((target) => target.dataset.runId)));
  byId("stop-remove").hidden = !targets.every((target) => "removable" in target.dataset);
  nameSubmit();
  dialog.showModal();
}

function nameSubmit() {
  const what = targets.length > 1 ? `${targets.length} runs` : "run";
  byId("stop-submit").textContent = form.elements.remove.checked ? `Stop and delete ${what}` : `Stop ${what}`;
}

// --- stopping

async function stopAll() {
  const fields = new FormData(form);
  const waiting = [...targets];
  dialog.close();
  const panel = byId("stop-progress");
  panel.replaceChildren();
  const work = async () => {
    while (waiting.length) await stop(waiting.shift(), fields);
  };
  const workers = Array.from({ length: Math.min(MAX_AT_ONCE, waiting.length) }, work);
  panel.focus();
  await Promise.all(workers);
}

async function stop(target, fields) {
  const shown = new StopEntry(target.dataset.runId);
  const unfollow = follow(target, shown);
  disable(target, BEING_STOPPED);
  try {
    const report = await postForm(target.dataset.url, fields);
    unfollow();
    noteEnd(target, shown, report);
  } catch (error) {
    unfollow();
    const details = (error.problems ?? []).filter((text) => !error.message.includes(text));
    shown.end("error", error.isUnreachable ? UNREACHABLE : error.message, details);
    enable(target);
  }
}

// Show what is left while the stop goes on; return a function that ends this.
function follow(target, shown) {
  let isOver = false;
  const clock = setInterval(() => shown.tick(), CLOCK_MS);
  const look = async () => {
    for (await pause(POLL_MS); !isOver; await pause(POLL_MS)) {
      const progress = await progressOf(target);
      if (!isOver) shown.tick(progress.left);
    }
  };
  look();
  return () => {
    isOver = true;
    clearInterval(clock);
  };
}

async function progressOf(target) {
  try {
    return await getJson(target.dataset.progress, 1);
  } catch {
    return {}; // the answer to the stop will say it
  }
}

function noteEnd(target, shown, report) {
  const by = report.user ? ` Stopped by ${report.user}.` : "";
  shown.end("success", `${report.message}${by} It took ${report.seconds.toFixed(1)} s.`);
  disable(target, HAS_ENDED);
  const row = target.closest("tr");
  if (report.removed && row) row.remove();
  else if (report.removed) shown.addLink("See the other runs", form.dataset.runs);
  else if (row) markRow(row.querySelector(".badge"), report.user);
  document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: report }));
}

function markRow(badge, user) {
  if (!badge) return;
  badge.dataset.state = user ? "stopped" : "failed";
  badge.textContent = user ? `Stopped by ${user}` : "failed";
}

// Somebody else stops this run.
async function watch() {
  const shown = new StopEntry(button.dataset.runId);
  for (;;) {
    const progress = await progressOf(button);
    if (!progress.user) break;
    shown.tick(progress.left, progress.seconds);
    await pause(POLL_MS);
  }
  shown.end("success", "The stop has ended.");
  document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: {} }));
}

// --- what can be stopped

function disable(target, why) {
  if (target === button) {
    button.setAttribute("aria-disabled", "true");
    explain(why);
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
  explain("");
}

function explain(why) {
  button.parentElement.title = why;
  byId("why-not-stop").textContent = why;
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

function listenForm() {
  form.addEventListener("change", nameSubmit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    stopAll();
  });
}

function listenButton() {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") ask([button]);
  });
  document.addEventListener("cwl:ended", () => {
    if (byId("stop-progress").hidden) disable(button, HAS_ENDED);
  });
  if ("stopping" in button.dataset) watch();
}

function listenList() {
  chosenButton.addEventListener("click", () => {
    if (chosen().length) ask(chosen());
  });
  all.addEventListener("change", () => {
    for (const box of choices()) box.checked = all.checked;
    count();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-stop-choice]")) count();
  });
  count();
}

if (dialog) {
  listenForm();
  if (button) listenButton();
  if (chosenButton) listenList();
}
