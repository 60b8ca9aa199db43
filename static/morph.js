// Make an element's content like new HTML, changing only what differs: focus, scrolling and opened parts stay.
"use strict";
(() => {
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id || null : null);

  function isAlike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
  }

  function sync(old, made) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== made.nodeValue) old.nodeValue = made.nodeValue;
      return;
    }
    if (old.nodeName === "TIME" && old.getAttribute("datetime") === made.getAttribute("datetime")) return; // shown in local time
    for (const { name, value } of [...made.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      // What people opened, and what a script has loaded since, is not the server's to close.
      if (!made.hasAttribute(name) && name !== "open" && name !== "data-loaded") old.removeAttribute(name);
    }
    if (!(old.classList.contains("loaded") && old.parentElement.hasAttribute("data-loaded"))) children(old, made);
  }

  function children(old, made) {
    let here = old.firstChild;
    for (const wanted of [...made.childNodes]) {
      const key = keyOf(wanted);
      const found = here && isAlike(here, wanted) ? here : key && [...old.children].find((child) => isAlike(child, wanted));
      if (!found) {
        old.insertBefore(wanted, here);
        continue;
      }
      if (found !== here) old.insertBefore(found, here);
      else here = here.nextSibling;
      sync(found, wanted);
    }
    while (here) {
      const next = here.nextSibling;
      here.remove();
      here = next;
    }
  }

  window.cwl.morph = (element, html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    children(element, document.importNode(template.content, true));
    window.cwl.localTimes(element);
  };
})();
