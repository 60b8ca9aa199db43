// Toasts, as Airflow has them: what was done is said in a corner for some seconds, to screen readers, too.
import { alertOf, button, byId, element } from "./dom.js";

const SHOWN_MS = 8000;
const NEXT = "cwl-toast"; // in the storage of this tab: what the next page is to say
const NEXT_MS = 30000;

export function toast(kind, title, text = "", link = null) {
  const more = text ? [element("span", text, "lines")] : [];
  if (link) {
    const leads = element("a", link.text);
    leads.href = link.href;
    more.push(leads);
  }
  show(alertOf(kind, element("strong", title), ...more));
}

function show(box) {
  const close = () => box.remove();
  let timer = setTimeout(close, SHOWN_MS);
  const shut = button("×", close, "close");
  shut.setAttribute("aria-label", "Close");
  box.append(shut);
  for (const event of ["pointerenter", "focusin"]) box.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) {
    box.addEventListener(event, () => {
      clearTimeout(timer);
      timer = setTimeout(close, SHOWN_MS);
    });
  }
  byId("toasts").append(box);
}

// The next page of ours in this tab says it: this one is left at once.
function sayNext(box) {
  const said = { kind: box.dataset.toastNext, title: box.textContent.trim(), at: Date.now() };
  sessionStorage.setItem(NEXT, JSON.stringify(said));
}

function sayWhatWasLeft() {
  const said = JSON.parse(sessionStorage.getItem(NEXT) ?? "null");
  sessionStorage.removeItem(NEXT);
  if (said && Date.now() - said.at < NEXT_MS) toast(said.kind, said.title);
}

try {
  const next = document.querySelector("[data-toast-next]");
  if (next) sayNext(next);
  else sayWhatWasLeft();
} catch {
  /* storage is blocked */
}
for (const box of document.querySelectorAll("main [data-toast]")) show(box);
