// Tell when a run ends: its page has a button for that; every page of ours that is open looks, one of them at a time.
import { getJson } from "./http.js";
import { toast } from "./toasts.js";

const KEY = "cwl-tell"; // in the storage of this browser: runs that somebody waits for
const LOOK_MS = 10000;
const MAX_RUNS = 50;
const GONE = [401, 403, 404];

const waited = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
};

function keep(runs) {
  try {
    localStorage.setItem(KEY, JSON.stringify(runs.slice(-MAX_RUNS)));
  } catch {
    toast("error", "This browser keeps nothing for pages.", "So it can't tell you either.");
  }
}

const without = (url) => waited().filter((run) => run.url !== url);

async function look() {
  for (const run of waited()) {
    try {
      note(run, await getJson(run.url, 1));
    } catch (error) {
      if (GONE.includes(error.status)) keep(without(run.url));
    }
  }
}

// What a run that waits for somebody does next is told, too: it ends, or waits again.
function note(run, found) {
  const waits = !found.ended && found.state === "waiting";
  if (found.ended) keep(without(run.url));
  else if (waits !== Boolean(run.waits)) keep(waited().map((one) => (one.url === run.url ? { ...one, waits } : one)));
  if (found.ended || (waits && !run.waits)) tell(run, found);
}

function tell(run, found) {
  const kind = { success: "success", failed: "error" }[found.state] ?? "info";
  toast(kind, found.text, "", { text: "Show it", href: run.page });
  showButtons();
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  try {
    const shown = new Notification(found.text, { body: run.workflow, tag: run.url });
    shown.addEventListener("click", () => {
      window.parent.focus();
      shown.close();
      location.assign(run.page);
    });
  } catch {
    /* on phones pages may not show any */
  }
}

async function onPress({ currentTarget: pressed }) {
  const { url, page, workflow } = pressed.dataset;
  if (waited().some((run) => run.url === url)) keep(without(url));
  else {
    keep([...waited(), { url, page, workflow }]);
    showButtons(); // the browser may ask for long
    const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
    const where = answer === "granted" ? "while a page of CWL is open" : "on pages of CWL that are open";
    toast("info", `You are told when it ends, ${where}.`);
  }
  showButtons();
}

function showButtons() {
  for (const pressed of document.querySelectorAll("[data-tell]")) {
    const isWaited = waited().some((run) => run.url === pressed.dataset.url);
    pressed.setAttribute("aria-pressed", isWaited);
    pressed.textContent = isWaited ? "You are told when it ends" : "Tell me when it ends";
  }
}

// Of all pages that are open the one that has the lock looks.
function lookNow() {
  if (!waited().length) return;
  if (navigator.locks) navigator.locks.request(KEY, { ifAvailable: true }, (lock) => lock && look());
  else look();
}

for (const pressed of document.querySelectorAll("[data-tell]")) pressed.addEventListener("click", onPress);
addEventListener("storage", ({ key }) => key === KEY && showButtons()); // another page has told, or was asked to
showButtons();
setInterval(lookNow, LOOK_MS);
lookNow();
