// The parts of a drawn graph, as SVG.
import { caption, PADDING, subtitle, TOGGLE } from "./graph_layout.js";
import { FONTS, shorten, widthOf } from "./graph_text.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_TITLE = 500;
const BASELINE = { first: 21, line: 17, last: 12 };

export function make(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function drawLine({ edge, path }) {
  const line = make("path", {
    class: edge.minor ? "link minor" : "link",
    d: path,
    "data-from": edge.from,
    "data-to": edge.to,
  });
  line.append(titled(edge.links.join("\n")));
  return line;
}

export function drawBox(box) {
  const { node, width, height, isOpen } = box;
  const drawn = outline(box);
  const radius = node.kind === "step" ? 6 : height / 2;
  if ((node.scatter?.length && !isOpen) || node.members) {
    drawn.append(make("rect", { class: "behind", x: 4, y: 4, width, height, rx: radius }));
  }
  drawn.append(titled(caption(node)), make("rect", { class: "shape", width, height, rx: radius }));
  if (node.kind === "step") drawn.append(stripe(height));
  drawn.append(...texts(box));
  if (node.graph || node.members) drawn.append(toggle(box));
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
  if (node.graph || node.members) drawn.setAttribute("aria-expanded", String(isOpen));
  return drawn;
}

function stripe(height) {
  return make("path", { class: "stripe", d: `M6 0 A6 6 0 0 0 0 6 V${height - 6} A6 6 0 0 0 6 ${height} Z` });
}

function texts({ node, width, height, lines, isOpen }) {
  if (node.kind !== "step") {
    const x = (width - (node.members ? TOGGLE.room / 2 : 0)) / 2;
    return [text("first", lines[0], x, height / 2 + 4.5)];
  }
  const made = lines.map((line, at) => text("first", line, PADDING, BASELINE.first + at * BASELINE.line));
  if (isOpen) return made;
  const second = text(
    "second",
    shorten(subtitle(node), FONTS.second, width - 2 * PADDING),
    PADDING,
    height - BASELINE.last,
  );
  second.dataset.text = second.textContent;
  return [...made, second];
}

function toggle({ node, width, height, isOpen }) {
  const down = node.members ? (height - TOGGLE.size) / 2 : 6;
  const made = make("g", { class: "toggle", transform: `translate(${width - TOGGLE.size - 6} ${down})` });
  const words = node.members ? `Show the ${node.name}` : `${isOpen ? "Close" : "Open"} the subworkflow`;
  made.append(
    titled(words),
    make("rect", { width: TOGGLE.size, height: TOGGLE.size, rx: node.members ? TOGGLE.size / 2 : 4 }),
    make("path", { d: isOpen ? "M7 12H17" : "M7 12H17M12 7V17" }),
  );
  return made;
}

// Show the state of a node, and `words` about it, where its second line is.
export function paintBox(drawn, { node, width }, { state, text: more, words, isCurrent, isChosen, isFound }) {
  if (state) drawn.dataset.state = state;
  else delete drawn.dataset.state;
  const second = drawn.querySelector(".second");
  if (second) second.textContent = words ? fitted(words, more, width - 2 * PADDING) : second.dataset.text;
  const spokenWords = [words, more].filter(Boolean).join(" · ");
  drawn.setAttribute("aria-label", [spoken(node), spokenWords].filter(Boolean).join(", "));
  drawn.setAttribute("tabindex", isCurrent ? "0" : "-1");
  drawn.classList.toggle("chosen", isChosen);
  drawn.classList.toggle("found", isFound);
}

// The state in full before anything else about it.
function fitted(words, more, room) {
  const whole = more ? `${words} · ${more}` : words;
  if (widthOf(whole, FONTS.second) <= room || widthOf(words, FONTS.second) > room * 0.7) {
    return widthOf(whole, FONTS.second) <= room ? whole : shorten(words, FONTS.second, room);
  }
  return shorten(whole, FONTS.second, room);
}

function spoken(node) {
  if (node.members) return `${node.name}, folded`;
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

function text(className, content, x, y) {
  const made = make("text", { class: className, x, y });
  made.textContent = content;
  return made;
}

function titled(content) {
  const made = make("title");
  made.textContent = content.slice(0, MAX_TITLE);
  return made;
}
