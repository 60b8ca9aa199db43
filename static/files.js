// Tables of previews are sorted where they are, and words are found in files without leaving the page.
import { element } from "./dom.js";
import { getText } from "./http.js";

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function sort(button) {
  const header = button.closest("th");
  const table = header.closest("table");
  const column = [...header.parentElement.children].indexOf(header);
  const isUp = header.getAttribute("aria-sort") !== "ascending";
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[column]?.textContent.trim() ?? "", row]);
  const compare = rows.every(([text]) => text === "" || isNumber(text)) ? byNumber : byText;
  rows.sort(([one], [other]) => compare(one, other, isUp ? 1 : -1));
  body.append(...rows.map(([, row]) => row));
}

const isNumber = (text) => Number.isFinite(Number(text));
// What is empty comes last, whichever way.
const emptyLast = (one, other) => (one === "") - (other === "");
const byNumber = (one, other, way) => emptyLast(one, other) || way * (Number(one) - Number(other));
const byText = (one, other, way) => emptyLast(one, other) || way * collator.compare(one, other);

async function find(form) {
  const target = form.nextElementSibling;
  const query = new URLSearchParams(new FormData(form));
  target.setAttribute("aria-busy", "true");
  target.textContent = "Searching…";
  try {
    const template = document.createElement("template");
    template.innerHTML = await getText(`${form.getAttribute("action")}?${query}`);
    target.replaceChildren(template.content);
  } catch (error) {
    target.replaceChildren(element("p", error.message, "err"));
  }
  target.removeAttribute("aria-busy");
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[data-sort]") : null;
  if (button) sort(button);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-search]")) return;
  event.preventDefault();
  find(event.target);
});
