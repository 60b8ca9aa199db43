// Send a test report without leaving the page; copy keys; go to what is wrong.
import { alertOf, byId, element } from "./dom.js";
import { postForm } from "./http.js";

const COPIED_MS = 2000;
const form = byId("test-form");

async function sendTest() {
  const pressed = form.querySelector("button");
  pressed.disabled = true;
  tell("info", "Sending…");
  try {
    const report = await postForm(form.action, new FormData(form));
    const more = `${report.answer}\nIt took ${duration(report.seconds)}.`.trim();
    tell(report.ok ? "success" : "error", report.message, more);
  } catch (error) {
    tell("error", error.message);
  } finally {
    pressed.disabled = false;
  }
}

function tell(kind, title, text) {
  const more = text ? [element("span", text, "lines")] : [];
  byId("test-result").replaceChildren(alertOf(kind, element("strong", title), ...more));
}

function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

async function copy(pressed, text) {
  text.select();
  try {
    await navigator.clipboard.writeText(text.value);
    const usual = pressed.textContent;
    pressed.textContent = "Copied";
    setTimeout(() => (pressed.textContent = usual), COPIED_MS);
  } catch {
    /* without https there is no clipboard: the text is selected, and the user can copy it */
  }
}

document.querySelector("[aria-invalid=true]")?.focus(); // what is wrong, wherever it is on the page
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  sendTest();
});
for (const pressed of document.querySelectorAll("[data-copy]")) {
  pressed.hidden = false;
  pressed.addEventListener("click", () => copy(pressed, byId(pressed.dataset.copy)));
}
