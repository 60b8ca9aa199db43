// Make an element's content like new HTML, changing only what differs: focus, scrolling and opened parts stay.
import { localTimes } from "./local_times.js";

export function morph(target, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  syncChildren(target, document.importNode(template.content, true));
  localTimes(target);
}

function syncChildren(old, made) {
  removeUnwanted(old, made);
  let here = old.firstChild;
  for (const wanted of [...made.childNodes]) {
    const found = here && isAlike(here, wanted) ? here : withSameKey(old, wanted);
    if (!found) {
      old.insertBefore(wanted, here);
      continue;
    }
    if (found !== here) old.insertBefore(found, here);
    else here = here.nextSibling;
    sync(found, wanted);
  }
  removeFrom(here);
}

// First of all: what follows need not be moved then, which would take the focus from it.
function removeUnwanted(old, made) {
  const wanted = new Set([...made.children].map(keyOf));
  for (const child of [...old.children]) if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
}

function withSameKey(old, wanted) {
  return keyOf(wanted) && [...old.children].find((child) => isAlike(child, wanted));
}

function removeFrom(node) {
  while (node) {
    const next = node.nextSibling;
    node.remove();
    node = next;
  }
}

function isAlike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id || null : null;
}

function sync(old, made) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== made.nodeValue) old.nodeValue = made.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep")) return; // people and scripts have filled it in
  if (old.nodeName === "TIME" && old.getAttribute("datetime") === made.getAttribute("datetime")) return; // local time
  syncAttributes(old, made);
  if (!(old.classList.contains("loaded") && old.parentElement.hasAttribute("data-loaded"))) syncChildren(old, made);
}

function syncAttributes(old, made) {
  for (const { name, value } of [...made.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // What people opened, and what a script has loaded since, is not the server's to close.
    if (!made.hasAttribute(name) && name !== "open" && name !== "data-loaded") old.removeAttribute(name);
  }
}
