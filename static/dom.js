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

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
