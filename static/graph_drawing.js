// The parts of a drawn graph, as SVG.
import { caption, CHARACTER, subtitle } from "./graph_layout.js";

const SVG = "http://www.w3.org/2000/svg";
const SMALL = CHARACTER * 0.92;
const TOGGLE = { room: 44, size: 24 };

export function make(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function drawLine({ edge, path }) {
  const line = make("path", { class: "link", d: path, "data-from": edge.from, "data-to": edge.to });
  line.append(titled(edge.links.join("\n")));
  return line;
}

export function drawBox(box) {
  const { node, width, height, isOpen } = box;
  const drawn = outline(box);
  const radius = node.kind === "step" ? 6 : height / 2;
  if (node.scatter?.length && !isOpen) {
    drawn.append(make("rect", { class: "behind", x: 4, y: 4, width, height, rx: radius }));
  }
  drawn.append(titled(caption(node)), make("rect", { class: "shape", width, height, rx: radius }));
  if (node.kind === "step") drawn.append(stripe(height));
  drawn.append(...texts(box));
  if (node.graph) drawn.append(toggle(width, isOpen));
  return drawn;
}

function outline({ node, x, y, depth, isOpen }) {
  const drawn = make("g", {
    class: `node ${node.kind}${isOpen ? " open" : ""}`,
    role: "button",
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
    "data-node": node.id,
    "data-depth": depth,
  });
  if (node.graph) drawn.setAttribute("aria-expanded", String(isOpen));
  return drawn;
}

function stripe(height) {
  return make("path", { class: "stripe", d: `M6 0 A6 6 0 0 0 0 6 V${height - 6} A6 6 0 0 0 6 ${height} Z` });
}

function texts({ node, width, height, isOpen }) {
  const isStep = node.kind === "step";
  const room = width - (node.graph ? TOGGLE.room : TOGGLE.size);
  const first = text("first", shorten(caption(node), room), isStep ? 14 : width / 2, isStep ? 22 : height / 2 + 4.5);
  if (!isStep || isOpen) return [first];
  const second = text("second", shorten(subtitle(node), room, SMALL), 14, 40);
  second.dataset.text = second.textContent;
  return [first, second];
}

function toggle(width, isOpen) {
  const made = make("g", { class: "toggle", transform: `translate(${width - 30} 6)` });
  made.append(
    titled(isOpen ? "Close the subworkflow" : "Open the subworkflow"),
    make("rect", { width: TOGGLE.size, height: TOGGLE.size, rx: 4 }),
    make("path", { d: isOpen ? "M7 12H17" : "M7 12H17M12 7V17" }),
  );
  return made;
}

// Show the state of a node, and `words` about it, where its second line is.
export function paintBox(drawn, { node, width }, { state, words, isCurrent, isChosen }) {
  if (state) drawn.dataset.state = state;
  else delete drawn.dataset.state;
  const second = drawn.querySelector(".second");
  if (second) second.textContent = words ? shorten(words, width - TOGGLE.size, SMALL) : second.dataset.text;
  drawn.setAttribute("aria-label", [spoken(node), words].filter(Boolean).join(", "));
  drawn.setAttribute("tabindex", isCurrent ? "0" : "-1");
  drawn.classList.toggle("chosen", isChosen);
}

function spoken(node) {
  if (node.kind !== "step") return `${node.kind} ${caption(node)}, ${node.type}`;
  const more = [
    node.graph ? "subworkflow" : node.tool,
    node.scatter.length ? "scattered" : "",
    node.when ? "conditional" : "",
  ];
  return [`step ${caption(node)}`, ...more].filter(Boolean).join(", ");
}

export function arrowHead() {
  const defs = make("defs");
  const marker = make("marker", {
    id: "cwl-graph-arrow",
    viewBox: "0 0 8 8",
    refX: 7,
    refY: 4,
    markerWidth: 8,
    markerHeight: 8,
    markerUnits: "userSpaceOnUse",
    orient: "auto",
  });
  marker.append(make("path", { d: "M0 0 8 4 0 8Z", class: "arrow" }));
  defs.append(marker);
  return defs;
}

function shorten(words, width, character = CHARACTER) {
  const most = Math.max(4, Math.floor(width / character));
  const letters = [...words.slice(0, 4 * most)];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : letters.join("");
}

function text(className, content, x, y) {
  const made = make("text", { class: className, x, y });
  made.textContent = content;
  return made;
}

function titled(content) {
  const made = make("title");
  made.textContent = content.slice(0, 500);
  return made;
}
