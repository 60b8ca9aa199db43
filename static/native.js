// Follow the page of Airflow around us: colour mode, theme, links out of the frame. Loaded before the page is drawn.
"use strict";
(() => {
  const root = document.documentElement;
  const host = hostWindow();
  const NAMES = {
    bg: "bg",
    "bg-subtle": "bg-subtle",
    "bg-muted": "bg-muted",
    "bg-panel": "bg-panel",
    fg: "fg",
    "fg-muted": "fg-muted",
    link: "fg-info",
    border: "border",
    "border-emphasized": "border-emphasized",
    "border-error": "border-error",
    "brand-solid": "brand-solid",
    "brand-contrast": "brand-contrast",
    "brand-fg": "brand-fg",
    "brand-subtle": "brand-subtle",
    "brand-focus": "brand-focus-ring",
  };
  for (const kind of ["success", "error", "warning", "info"]) {
    for (const part of ["subtle", "fg"]) NAMES[`${kind}-${part}`] = `${kind}-${part}`;
  }
  for (const state of ["success", "failed", "queued", "skipped", "deferred", "scheduled", "removed"]) {
    NAMES[`state-${state}`] = `${state}-solid`;
  }
  const STAYED_MS = 4000;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function hostWindow() {
    try {
      return window.parent !== window && window.parent.document.documentElement ? window.parent : null;
    } catch {
      return null; // a page of another site
    }
  }

  function mode() {
    const classes = host && host.document.documentElement.classList;
    if (classes && classes.contains("dark")) return "dark";
    if (classes && classes.contains("light")) return "light";
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      /* storage is blocked */
    }
    if (chosen === "dark" || chosen === "light") return chosen;
    return prefersDark.matches ? "dark" : "light";
  }

  // On which page of Airflow we are a tab, if we are one.
  function tab() {
    const path = host ? host.location.pathname : "";
    if (!/\/dags\/[^/]+.*\/plugin\//.test(path)) return "";
    if (/\/runs\/[^/]+\/tasks\//.test(path)) return "in-task";
    return /\/runs\//.test(path) ? "in-run" : "in-dag";
  }

  function apply() {
    const dark = mode() === "dark";
    root.classList.toggle("dark", dark);
    root.classList.toggle("light", !dark);
    root.classList.toggle("framed", Boolean(host));
    for (const name of ["in-dag", "in-run", "in-task"]) root.classList.toggle(name, tab() === name); // it needs no tabs
    if (!host) return;
    const theirs = host.getComputedStyle(host.document.documentElement);
    for (const [ours, name] of Object.entries(NAMES)) {
      const value = theirs.getPropertyValue(`--chakra-colors-${name}`).trim();
      if (value) root.style.setProperty(`--af-${ours}`, value);
      else root.style.removeProperty(`--af-${ours}`);
    }
  }

  // Airflow's router goes to a page without loading the whole interface again: it looks where its history leads to.
  // If it does not, this frame is still there after a while, and a link in the page around it leads there as any does.
  function leaveFrame(href) {
    const { history, location } = host;
    const state = { usr: null, key: Math.random().toString(36).slice(2, 10), idx: (history.state?.idx ?? 0) + 1 };
    if (typeof history.state?.idx !== "number" || new URL(href).origin !== location.origin) return follow(href);
    history.pushState(state, "", href);
    host.dispatchEvent(new host.PopStateEvent("popstate", { state }));
    setTimeout(() => location.reload(), STAYED_MS);
  }

  // Airflow takes the address of this frame for its own once it has loaded: who leaves earlier is fetched back.
  function afterHost(act) {
    addEventListener("load", () => setTimeout(act), { once: true });
  }

  // The frame may not navigate the page around it; a link in that page can.
  function follow(href) {
    const link = host.document.createElement("a");
    link.href = href;
    link.hidden = true;
    host.document.body.append(link);
    link.click();
    link.remove();
  }

  function onClick(event) {
    if (!(event.target instanceof Element)) return;
    const opener = event.target.closest("[data-confirm]");
    if (opener) document.getElementById(opener.dataset.confirm)?.showModal();
    event.target.closest("[data-close]")?.closest("dialog").close();
    const href = host && isPlain(event) && addressInHost(event.target.closest("a"));
    if (!href) return;
    event.preventDefault();
    leaveFrame(href);
  }

  // Where a link leads to in Airflow around us: always (data-app), or where we are a tab of its pages (data-in-tab).
  function addressInHost(link) {
    if (!link) return "";
    if ("app" in link.dataset) return link.href;
    return "inTab" in link.dataset && tab() ? new URL(link.dataset.inTab, location.href).href : "";
  }

  function isPlain(event) {
    return !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  }

  // A form that starts something is sent once, however often its button is pressed.
  function onSubmit(event) {
    const form = event.target;
    if (!("once" in form.dataset)) return;
    if ("sent" in form.dataset) event.preventDefault();
    form.dataset.sent = "";
  }

  // What can be seen can be pressed: what needs a script that is still on its way is done when that is there.
  const SCRIPTED =
    "button[type=button]:not([data-confirm], [data-close]), a[data-more], a[data-instead], a[data-preview], a[data-picture]";
  let held = new Map(); // what was pressed, and how to press it again; null: all scripts are there

  function hold(event, again) {
    if (!held) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    held.set(event.target, again);
  }

  function holdClick(event) {
    const pressed = event.target instanceof Element && event.target.closest(SCRIPTED);
    if (pressed) hold(event, () => pressed.click());
  }

  function release() {
    const pressed = held;
    held = null;
    for (const [target, again] of pressed) if (target.isConnected) again();
  }

  // The page before stays until the next is drawn (native.css), if that is one of ours: others know of no transition.
  const pages = document.currentScript.src.split("/static/")[0];
  addEventListener("pageswap", ({ viewTransition, activation }) => {
    if (!activation?.entry?.url?.startsWith(`${pages}/`)) viewTransition?.skipTransition();
  });
  for (const name of ["pageswap", "pagereveal"]) {
    addEventListener(name, ({ viewTransition }) => {
      for (const part of ["ready", "finished", "updateCallbackDone"]) viewTransition?.[part]?.catch(() => {});
    });
  }
  apply();
  if (host) {
    new MutationObserver(apply).observe(host.document.documentElement, {
      attributes: true,
      attributeFilter: ["class"],
    });
  }
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply();
  });
  prefersDark.addEventListener("change", apply);
  document.addEventListener("click", holdClick, true);
  document.addEventListener("submit", (event) => hold(event, () => event.target.requestSubmit(event.submitter)), true);
  document.addEventListener("click", onClick);
  document.addEventListener("submit", onSubmit);
  addEventListener("DOMContentLoaded", () => {
    release();
    const next = document.querySelector("a[data-go]");
    if (next && host) afterHost(() => leaveFrame(next.href));
    else if (next) location.replace(next.href);
  });
  addEventListener("pageshow", () =>
    document.querySelectorAll("form[data-once]").forEach((form) => delete form.dataset.sent),
  );
})();
