// Making elements; texts are always set as texts, never as HTML.

export const byId = (id) => document.getElementById(id);

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function button(text, act, className = "btn outline") {
  const made = element("button", text, className);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

// An alert of a kind: "info", "success", "warning", "error".
export function alertOf(kind, ...content) {
  const box = element("div", "", `alert ${kind}`);
  const inside = element("div");
  inside.append(...content);
  box.append(inside);
  return box;
}

// Whether a field says something else than the page that the server has sent: its scripts may come later than the user.
export function isChanged(field) {
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (!field.matches("select")) return field.value !== field.defaultValue;
  const options = [...field.options];
  return !(options.find((option) => option.defaultSelected) ?? options[0])?.selected;
}

// Ends at once where `signal` says that there is nothing more to wait for.
export function pause(milliseconds, signal) {
  return new Promise((done) => {
    setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
  });
}
