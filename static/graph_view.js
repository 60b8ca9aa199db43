// A graph on a page: how it is drawn and painted, what is chosen in it, what is open, and which part of it is in sight.
import { button, element } from "./dom.js";
import { details } from "./graph_details.js";
import { arrowHead, drawBox, drawLine, make, paintBox } from "./graph_drawing.js";
import { layout } from "./graph_layout.js";
import { listOf } from "./graph_list.js";
import { stateOf } from "./graph_states.js";
import { GraphWindow, ZOOM_FACTOR } from "./graph_window.js";

const MAX_NODES = 1500;
const MAX_NODES_TWICE = 300; // larger ones are laid out in one direction only
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
const KEYS = "Arrow keys go from node to node, Enter shows details, Space opens a subworkflow, plus, minus and 0 zoom.";

export class GraphView {
  opened = new Set(); // ids of subworkflows
  states = {};
  chosen = null;
  drawn = new Map(); // by id
  boxes = new Map();

  constructor(target, graph, { label = "Graph of the workflow", withDetails = true } = {}) {
    this.graph = graph;
    this.current = graph.nodes.length ? graph.nodes[0].id : null;
    this.build(target, label, withDetails);
    if (count(graph) > MAX_NODES) this.refuse();
    else {
      this.listen();
      this.draw();
    }
  }

  setStates(states) {
    this.states = states;
    this.paint();
  }

  select(id) {
    const found = id === null ? null : find(this.graph, id);
    this.chosen = found ? id : null;
    this.panel.hidden = !found;
    if (found) {
      this.panel.replaceChildren(...details(found));
      if (found.graph) this.panel.append(this.opener(found));
      if (this.boxes.has(id)) this.current = id;
    }
    this.paint();
  }

  open(id, isOpen = true) {
    if (isOpen) this.opened.add(id);
    else this.opened.delete(id);
    this.draw();
  }

  fit() {
    this.window.fit(this.placed);
  }

  // --- what it is made of

  build(target, label, withDetails) {
    this.frame = element("div", "", "graph-frame");
    this.svg = make("svg", { role: "group", "aria-label": `${label}. ${KEYS}` });
    this.canvas = make("g");
    this.svg.append(arrowHead(), this.canvas);
    this.window = new GraphWindow(this.frame, this.svg, this.canvas);
    this.frame.append(this.svg, this.tools());
    this.panel = panel();
    this.words = element("details", "", "graph-list");
    const list = listOf(this.graph, (id) => this.select(id));
    this.words.append(element("summary", "As a list"), list);
    const body = element("div", "", "graph-body");
    body.append(this.frame);
    if (withDetails) body.append(this.panel);
    target.replaceChildren(body, this.words);
    target.classList.add("cwl-graph");
  }

  tools() {
    const tools = element("div", "", "graph-tools");
    const acts = [
      ["+", "Zoom in", () => this.window.zoom(ZOOM_FACTOR)],
      ["−", "Zoom out", () => this.window.zoom(1 / ZOOM_FACTOR)],
      ["⤢", "Show all", () => this.fit()],
    ];
    for (const [text, name, act] of acts) {
      const tool = button(text, act, "btn outline small");
      tool.title = name;
      tool.setAttribute("aria-label", name);
      tools.append(tool);
    }
    return tools;
  }

  opener(node) {
    const isOpen = this.opened.has(node.id);
    return button(isOpen ? "Close the subworkflow" : "Open the subworkflow", () => {
      this.open(node.id, !isOpen);
      this.select(node.id);
    });
  }

  refuse() {
    this.frame.replaceChildren(element("p", `${count(this.graph)} nodes are too many to draw; see the list.`, "empty"));
    this.words.open = true;
    this.draw = () => {};
  }

  // --- drawing

  draw() {
    this.placed = this.best();
    this.boxes = new Map(this.placed.boxes.map((box) => [box.node.id, box]));
    if (!this.boxes.has(this.current) && this.placed.boxes.length) this.current = this.placed.boxes[0].node.id;
    const drawn = this.placed.boxes.map((box) => drawBox(box));
    const isOpen = (_, at) => this.placed.boxes[at].isOpen;
    const behind = drawn.filter(isOpen);
    const inFront = drawn.filter((...one) => !isOpen(...one));
    this.canvas.replaceChildren(...behind, ...this.placed.lines.map(drawLine), ...inFront);
    this.drawn = new Map(drawn.map((box) => [box.dataset.node, box]));
    this.paint();
    this.fit();
  }

  // From left to right, or from top to bottom where that can be larger.
  best() {
    if (this.direction) return layout(this.graph, this.opened, this.direction);
    const wide = layout(this.graph, this.opened, "LR");
    this.direction = "LR";
    if (wide.width <= this.window.width || wide.boxes.length > MAX_NODES_TWICE) return wide;
    const tall = layout(this.graph, this.opened, "TB");
    if (this.window.scaleOf(tall) <= this.window.scaleOf(wide)) return wide;
    this.direction = "TB";
    return tall;
  }

  paint() {
    for (const [id, drawn] of this.drawn) {
      const box = this.boxes.get(id);
      const { state, text } = box.node.kind === "step" ? stateOf(box.node, this.states) : { state: "", text: "" };
      const words = [state.replaceAll("_", " "), text].filter(Boolean).join(" · ");
      paintBox(drawn, box, { state, words, isCurrent: id === this.current, isChosen: id === this.chosen });
    }
    for (const line of this.canvas.querySelectorAll(".link")) {
      const isAtChosen = this.chosen !== null && [line.dataset.from, line.dataset.to].includes(this.chosen);
      line.classList.toggle("chosen", isAtChosen);
    }
  }

  // --- mouse and keyboard

  listen() {
    this.window.listen();
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    this.svg.addEventListener("click", (event) => this.onClick(event));
    this.svg.addEventListener("focusin", (event) => this.onFocus(event.target.closest("[data-node]")));
    new ResizeObserver(() => {
      if (!this.window.isMoved) this.fit();
    }).observe(this.frame);
  }

  onFocus(drawn) {
    if (!drawn) return;
    this.current = drawn.dataset.node;
    this.paint();
    this.window.show(this.boxes.get(this.current));
  }

  onClick(event) {
    const drawn = event.target.closest("[data-node]");
    if (!drawn || this.window.wasDragged) return;
    const id = drawn.dataset.node;
    if (event.target.closest(".toggle")) this.open(id, !this.opened.has(id));
    else this.select(id);
    this.focus(id);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.boxes.size) return;
    const act = ARROWS[event.key] ? () => this.step(...ARROWS[event.key]) : this.acts()[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  acts() {
    const { boxes } = this.placed;
    return {
      Enter: () => this.select(this.current),
      " ": () => this.toggle(),
      Escape: () => this.select(null),
      "+": () => this.window.zoom(ZOOM_FACTOR),
      "=": () => this.window.zoom(ZOOM_FACTOR),
      "-": () => this.window.zoom(1 / ZOOM_FACTOR),
      0: () => this.fit(),
      Home: () => this.focus(boxes[0].node.id),
      End: () => this.focus(boxes.at(-1).node.id),
    };
  }

  toggle() {
    const { node } = this.boxes.get(this.current);
    if (!node.graph) this.select(node.id);
    else {
      this.open(node.id, !this.opened.has(node.id));
      this.focus(node.id);
    }
  }

  focus(id) {
    this.drawn.get(id).focus({ preventScroll: true });
  }

  // Go to the nearest node in a direction, one that is linked to this one before any other.
  step(dx, dy) {
    const ahead = this.ahead(dx, dy);
    const linked = this.linked();
    const nearest = (items) => items.sort((a, b) => a.cost - b.cost)[0];
    const next = nearest(ahead.filter(({ box }) => linked.has(box.node.id))) || nearest(ahead);
    if (next) this.focus(next.box.node.id);
  }

  // The nodes in a direction of the current one, as {box, along, cost}.
  ahead(dx, dy) {
    const from = this.boxes.get(this.current);
    const [x0, y0] = centre(from);
    return this.placed.boxes
      .filter((box) => box !== from && !holds(box, from))
      .map((box) => {
        const [x, y] = [centre(box)[0] - x0, centre(box)[1] - y0];
        const along = x * dx + y * dy;
        return { box, along, cost: along + 2 * Math.abs(x * dy + y * dx) };
      })
      .filter(({ along }) => along > 1);
  }

  linked() {
    const edges = this.placed.lines.map(({ edge }) => edge);
    const after = edges.filter((edge) => edge.from === this.current).map((edge) => edge.to);
    const before = edges.filter((edge) => edge.to === this.current).map((edge) => edge.from);
    return new Set([...after, ...before]);
  }
}

function panel() {
  const made = element("div", "", "graph-details");
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", "Details of the chosen node");
  made.tabIndex = 0;
  made.hidden = true;
  return made;
}

function find(graph, id) {
  for (const node of graph.nodes) {
    const found = node.id === id ? node : node.graph && find(node.graph, id);
    if (found) return found;
  }
  return null;
}

function count(graph) {
  return graph.nodes.reduce((sum, node) => sum + 1 + (node.graph ? count(node.graph) : 0), 0);
}

function holds(outer, inner) {
  return outer.isOpen && inner.node.id.startsWith(outer.node.id) && outer.depth < inner.depth;
}

function centre(box) {
  return [box.x + box.width / 2, box.y + box.height / 2];
}
