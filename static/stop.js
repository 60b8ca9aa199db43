// Stop one run or many: ask once, show what is being stopped and how long it takes, then what was stopped.
import { byId, pause } from "./dom.js";
import { getJson, postForm } from "./http.js";
import { shortList, StopEntry } from "./stop_panel.js";
import { toast } from "./toasts.js";

const POLL_MS = 500;
const MAX_POLL_MS = 10000;
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

const choices = () => [...document.querySelectorAll("[data-stop-choice]")];
const chosen = () => choices().filter((box) => box.checked);
const stoppable = () => chosen().filter((box) => !box.dataset.whyNot);

// --- asking

function ask(asked) {
  targets = asked;
  form.reset();
  byId("stop-title").textContent = targets.length > 1 ? `Stop ${targets.length} runs?` : "Stop this run?";
  byId("stop-names").replaceChildren(...shortList(targets.map((target) => target.dataset.name)));
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
  let stopped = 0;
  const work = async () => {
    while (waiting.length) if (await stop(waiting.shift(), fields)) stopped += 1;
  };
  const workers = Array.from({ length: Math.min(MAX_AT_ONCE, waiting.length) }, work);
  panel.focus();
  await Promise.all(workers);
  if (stopped) toast("success", stopped === 1 ? "The run was stopped." : `${stopped} runs were stopped.`);
}

// Return whether it was stopped: it may have ended by itself before, or still go on.

async function stop(target, fields) {
  const shown = new StopEntry(target.dataset.name);
  const unfollow = follow(target, shown);
  disable(target, BEING_STOPPED);
  try {
    const report = await postForm(target.dataset.url, fields);
    unfollow();
    noteEnd(target, shown, report);
    return Boolean(report.user);
  } catch (error) {
    unfollow();
    const details = (error.problems ?? []).filter((text) => !error.message.includes(text));
    shown.end("error", error.isUnreachable ? UNREACHABLE : error.message, details);
    enable(target);
    return false;
  }
}

// Show what is left while the stop goes on; return a function that ends this.
function follow(target, shown) {
  let isOver = false;
  const clock = setInterval(() => shown.tick(), CLOCK_MS);
  const look = async () => {
    for (await pause(POLL_MS); !isOver; await pause(POLL_MS)) {
      const progress = await progressOf(target);
      if (!isOver) shown.tick(progress?.left);
    }
  };
  look();
  return () => {
    isOver = true;
    clearInterval(clock);
  };
}

// How far a stop is; empty where none goes on, null where the server does not say.
async function progressOf(target) {
  try {
    return await getJson(target.dataset.progress, 1);
  } catch {
    return null;
  }
}

function noteEnd(target, shown, report) {
  shown.end("info", `${endText(report)} It took ${report.seconds.toFixed(1)} s.`);
  disable(target, HAS_ENDED);
  const row = target.closest("tr");
  if (report.removed && row) row.remove();
  else if (report.removed) shown.addLink("See the other runs", form.dataset.runs);
  else if (row) markRow(row, report.user);
  document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: report }));
}

// What has happened, said once: that its tasks are failed to Airflow is nothing to people.
function endText(report) {
  if (!report.user) return report.message;
  return `Stopped by ${report.user}. None of its processes is left.${report.removed ? " It was removed." : ""}`;
}

function markRow(row, user) {
  const badge = row.querySelector(".badge");
  for (const time of row.querySelectorAll("[data-since]")) time.removeAttribute("data-since"); // it goes on no more
  if (!badge) return;
  badge.dataset.state = user ? "stopped" : "failed";
  badge.textContent = user ? `Stopped by ${user}` : "failed";
}

// Somebody else stops this run.
async function watch() {
  const shown = new StopEntry(button.dataset.name);
  let rest = POLL_MS;
  for (;;) {
    const progress = await progressOf(button);
    if (progress && !progress.user) break;
    if (progress) shown.tick(progress.left, progress.seconds);
    rest = progress ? POLL_MS : Math.min(2 * rest, MAX_POLL_MS); // the server is away: the stop may go on
    await pause(rest);
  }
  shown.end("info", "The stop has ended.");
  document.dispatchEvent(new CustomEvent("cwl:stopped", { detail: {} }));
}

// --- what can be stopped

function disable(target, why) {
  if (target === button) {
    button.setAttribute("aria-disabled", "true");
    explain(why);
  } else {
    target.checked = false;
    target.dataset.whyNot = why;
    tell();
  }
}

function enable(target) {
  delete target.dataset.whyNot;
  if (target !== button) return;
  button.removeAttribute("aria-disabled");
  explain("");
}

// Who else counts what is chosen hears of it.
function tell() {
  byId("chosen")?.dispatchEvent(new Event("change", { bubbles: true }));
}

function explain(why) {
  button.parentElement.title = why;
  byId("why-not-stop").textContent = why;
}

function count() {
  const [number, total] = [stoppable().length, chosen().length];
  const what = number === total ? `${number} chosen run${number > 1 ? "s" : ""}` : `${number} of ${total} chosen runs`;
  chosenButton.textContent = number ? `Stop ${what}` : "Stop chosen runs";
  chosenButton.setAttribute("aria-disabled", String(!number));
  chosenButton.title = total && !number ? chosen()[0].dataset.whyNot : "";
  all.checked = Boolean(total) && total === choices().length;
  all.indeterminate = Boolean(total) && !all.checked;
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
  else if (location.hash === "#stop" && button.getAttribute("aria-disabled") !== "true") ask([button]);
}

function listenList() {
  chosenButton.addEventListener("click", () => {
    if (stoppable().length) ask(stoppable());
  });
  all.addEventListener("change", () => {
    for (const box of choices()) box.checked = all.checked;
  });
  byId("chosen").addEventListener("change", count);
  count();
}

if (dialog) {
  listenForm();
  if (button) listenButton();
  if (chosenButton) listenList();
}
