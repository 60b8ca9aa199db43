// Keys of Airflow work while the focus is in our frame, too: its search (Ctrl+K) and its list of keys (?).
const HOST_KEYS = [
  (event) => (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.code === "KeyK",
  (event) => event.key === "?" && !event.ctrlKey && !event.metaKey && !isTyping(event.target),
];

const isTyping = (target) => target instanceof Element && target.closest("input, textarea, select, [contenteditable]");

function hostDocument() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null; // a page of another site
  }
}

function onKey(event) {
  const host = hostDocument();
  if (!host || event.defaultPrevented || !HOST_KEYS.some((is) => is(event))) return;
  event.preventDefault();
  const { key, code, ctrlKey, metaKey, shiftKey } = event;
  for (const type of ["keydown", "keyup"]) {
    const again = { key, code, ctrlKey, metaKey, shiftKey, bubbles: true, cancelable: true };
    host.body.dispatchEvent(new host.defaultView.KeyboardEvent(type, again));
  }
}

document.addEventListener("keydown", onKey);
