// Load parts of a page when they are opened: <details data-load>, "Show more", a filter, a preview.
"use strict";
(() => {
  const script = { "X-Requested-With": "XMLHttpRequest" };

  async function html(url) {
    const answer = await fetch(url, { headers: script });
    if (answer.ok) return answer.text();
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.detail || `The server answered with ${answer.status}.`);
  }

  async function fill(target, url, place = "replaceChildren") {
    target.setAttribute("aria-busy", "true");
    let found;
    try {
      const template = document.createElement("template");
      template.innerHTML = await html(url);
      found = template.content;
    } catch (error) {
      const failed = document.createElement("p");
      failed.className = "err";
      failed.textContent = error instanceof TypeError ? "The server can't be reached. Close this and open it again." : error.message;
      found = failed;
      delete target.parentElement.dataset.loaded;
    }
    target.removeAttribute("aria-busy");
    target[place](found);
    window.cwl.localTimes(target);
    if (window.cwl.drawPdf) target.querySelectorAll("[data-pdf]").forEach(window.cwl.drawPdf);
  }

  function load(details) {
    const target = details.querySelector(":scope > .loaded");
    if (!details.open || !target || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    target.textContent = "Loading…";
    fill(target, details.dataset.load);
  }

  async function more(link) {
    const target = link.closest(".loaded, section, main");
    const line = link.closest(".more");
    link.setAttribute("aria-disabled", "true");
    const number = target.querySelectorAll("a").length;
    await fill(target, link.href, "append");
    line.remove();
    target.querySelectorAll("a")[number - 1]?.focus();
  }

  function preview(link) {
    const dialog = document.getElementById("preview");
    dialog.querySelector("h1").textContent = link.dataset.preview;
    const target = dialog.querySelector(".loaded");
    target.textContent = "Loading…";
    dialog.showModal();
    fill(target, link.href);
  }

  // The event of a <details> does not bubble, but it can be caught on its way down.
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("details[data-load]")) load(event.target);
  }, true);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.matches("[data-more]")) {
      event.preventDefault();
      if (!link.hasAttribute("aria-disabled")) more(link);
    } else if (link.matches("[data-instead]") && link.closest("details[data-load]")) {
      event.preventDefault();
      fill(link.closest(".loaded"), link.href);
    } else if (link.matches("[data-preview]") && document.getElementById("preview")) {
      event.preventDefault();
      preview(link);
    }
  });
  addEventListener("DOMContentLoaded", () => document.querySelectorAll("details[data-load]").forEach(load));
  window.cwl.reload = (details) => { // quietly: what is there stays until the new is
    if (details.open && details.dataset.loaded) fill(details.querySelector(":scope > .loaded"), details.dataset.load);
  };
})();
