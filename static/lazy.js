// Load parts of a page when they are opened: <details data-load>, "Show more", a filter, a preview.
import { byId, element } from "./dom.js";
import { getText } from "./http.js";
import { localTimes } from "./local_times.js";
import { drawPdfs } from "./pdf_preview.js";

const chosen = new WeakMap(); // what of a <details> was asked for instead of all: its address

// Quietly: what is there stays until the new is, and while somebody writes in it.
export function reload(details) {
  const target = details.querySelector(":scope > .loaded");
  const writes = target.contains(document.activeElement) && document.activeElement.matches("input");
  if (details.open && details.dataset.loaded && !writes) fill(target, chosen.get(details) ?? details.dataset.load);
}

function fillInstead(inside, url) {
  const details = inside.closest("details[data-load]");
  chosen.set(details, url);
  return fill(details.querySelector(":scope > .loaded"), url);
}

async function fill(target, url, place = "replaceChildren") {
  target.setAttribute("aria-busy", "true");
  const found = await fragment(target, url);
  target.removeAttribute("aria-busy");
  target[place](found);
  localTimes(target);
  drawPdfs(target);
}

async function fragment(target, url) {
  try {
    const template = document.createElement("template");
    template.innerHTML = await getText(url);
    return template.content;
  } catch (error) {
    delete target.parentElement.dataset.loaded;
    const again = "The server can't be reached. Close this and open it again.";
    return element("p", error.isUnreachable ? again : error.message, "err");
  }
}

function load(details) {
  const target = details.querySelector(":scope > .loaded");
  if (!details.open || !target || details.dataset.loaded) return;
  details.dataset.loaded = "yes";
  target.textContent = "Loading…";
  fill(target, details.dataset.load);
}

async function showMore(link) {
  if (link.hasAttribute("aria-disabled")) return;
  const target = link.closest(".loaded, section, main");
  const line = link.closest(".more");
  link.setAttribute("aria-disabled", "true");
  const number = target.querySelectorAll("a").length;
  await fill(target, link.href, "append");
  line.remove();
  target.querySelectorAll("a")[number - 1]?.focus();
}

function preview(link) {
  const dialog = byId("preview");
  dialog.querySelector("h1").textContent = link.dataset.preview;
  const target = dialog.querySelector(".loaded");
  target.textContent = "Loading…";
  dialog.showModal();
  fill(target, link.href);
}

// What a link does here instead of leading to another page.
function actOf(link) {
  if (link.matches("[data-more]")) return showMore;
  if (link.matches("[data-instead]") && link.closest("details[data-load]")) {
    return () => fillInstead(link, link.href);
  }
  return link.matches("[data-preview]") && byId("preview") ? preview : null;
}

function onClick(event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const act = actOf(link);
  if (!act) return;
  event.preventDefault();
  act(link);
}

// A form that looks for something in what was loaded.
function onSubmit(event) {
  const form = event.target;
  if (!form.matches("form[data-instead]") || !form.closest("details[data-load]")) return;
  event.preventDefault();
  const target = form.closest(".loaded");
  const found = fillInstead(form, `${form.action}?${new URLSearchParams(new FormData(form))}`);
  found.then(() => target.querySelector("[type=search]")?.focus());
}

// The event of a <details> does not bubble, but it can be caught on its way down.
function onToggle(event) {
  if (event.target.matches?.("details[data-load]")) load(event.target);
}

document.addEventListener("toggle", onToggle, true);
document.addEventListener("click", onClick);
document.addEventListener("submit", onSubmit);
document.querySelectorAll("details[data-load]").forEach(load);
drawPdfs(document);
