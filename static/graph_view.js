// A graph on a page: how it is drawn and painted, what is chosen in it, what is open, and which part of it is in sight.
import { button, element } from "./dom.js";
import { details } from "./graph_details.js";
import { arrowHead, drawBox, drawLine, make, paintBox } from "./graph_drawing.js";
import { download, print, standalone } from "./graph_export.js";
import { groupsOf, openAtFirst } from "./graph_folding.js";
import { ARROWS, nextOf } from "./graph_keys.js";
import { layout } from "./graph_layout.js";
import { listOf } from "./graph_list.js";
import { Minimap } from "./graph_minimap.js";
import { GraphSearch } from "./graph_search.js";
import { stateOf, stateWords } from "./graph_states.js";
import { GraphTools } from "./graph_tools.js";
import { GraphWindow, ZOOM_FACTOR } from "./graph_window.js";

const HEAD = 60; // of an opened subworkflow: what comes into sight
const MAX_NODES = 1500;
const MAX_NODES_TWICE = 300; // larger ones are laid out in one direction only
const KEYS =
  "Arrow keys go from node to node, Enter shows details, Space opens a subworkflow or what is folded, slash finds a " +
  "step, plus, minus and 0 zoom.";

export class GraphView {
  opened; // ids of subworkflows, and of groups of inputs or outputs
  states = {};
  chosen = null;
  found = new Set();
  drawn = new Map(); // by id
  boxes = new Map();

  constructor(target, graph, { label = "Graph of the workflow", withDetails = true, name = "workflow" } = {}) {
    this.graph = graph;
    this.opened = new Set(openAtFirst(graph));
    this.label = label;
    this.name = name;
    this.current = graph.nodes.length ? graph.nodes[0].id : null;
    this.build(target, withDetails);
    if (count(graph) > MAX_NODES) this.refuse();
    else {
      this.listen();
      this.draw();
      this.fit();
    }
  }

  setStates(states) {
    this.states = states;
    this.paint();
  }

  select(id) {
    const node = id === null ? null : this.boxes.get(id)?.node || pathTo(this.graph, id)?.at(-1);
    this.chosen = node ? id : null;
    this.panel.hidden = !node;
    if (node) {
      this.panel.replaceChildren(...details(node));
      if (node.graph || node.members) this.panel.append(this.opener(node));
      this.panel.scrollTop = 0;
      if (this.boxes.has(id)) this.current = id;
    }
    this.paint();
  }

  // Open or close a subworkflow, or a group; it stays where it is in the window.
  open(id, isOpen = true) {
    const before = this.boxes.get(id);
    const place = before && this.window.placeOf(before);
    if (isOpen) this.opened.add(id);
    else this.opened.delete(id);
    this.draw();
    const box = this.boxes.get(id);
    const isWhole = !this.window.hidden(this.placed).some(Boolean);
    if (isWhole && !this.window.isMoved) this.fit();
    else if (box && place) this.window.putBack(box, place);
    if (box) this.window.show({ ...box, height: Math.min(box.height, HEAD) });
  }

  // Open all that a node is in.
  reveal(id) {
    const path = pathTo(this.graph, id) || [];
    const graphs = [this.graph, ...path.slice(0, -1).map((node) => node.graph)];
    const groups = graphs.flatMap(groupsOf).filter(({ members }) => members.some((node) => path.includes(node)));
    const closed = [...path.slice(0, -1), ...groups].filter((node) => !this.opened.has(node.id));
    for (const node of closed) this.opened.add(node.id);
    if (closed.length) this.draw();
  }

  // At a size that can be read, from its beginning.
  fit() {
    if (!this.placed?.boxes.length) return;
    const along = this.direction === "LR" ? "x" : "y";
    const first = this.placed.boxes.reduce((least, box) => (box[along] < least[along] ? box : least));
    this.window.fit(this.placed, { ...first, across: along === "x" });
    this.map.follow();
  }

  // --- what it is made of

  build(target, withDetails) {
    this.target = target;
    this.frame = element("div", "", "graph-frame");
    this.svg = make("svg", { role: "group", "aria-label": `${this.label}. ${KEYS}` });
    this.canvas = make("g");
    this.svg.append(arrowHead(), this.canvas);
    this.frame.append(this.svg);
    this.window = new GraphWindow(this.frame, this.svg);
    const around = element("div", "", "graph-around");
    around.append(this.frame);
    this.map = new Minimap(this.window, around);
    this.search = new GraphSearch(this.graph, {
      go: (id, isAsked) => this.comeTo(id, isAsked),
      mark: (ids) => this.mark(ids),
      leave: (id) => this.focus(this.boxes.has(id) ? id : this.current),
    });
    this.tools = new GraphTools(this);
    this.panel = panel();
    const body = element("div", "", "graph-body");
    body.append(around);
    if (withDetails) body.append(this.panel);
    target.replaceChildren(this.tools.bar, body, this.wordsOf());
    target.classList.add("cwl-graph");
  }

  wordsOf() {
    this.words = element("details", "", "graph-list");
    this.words.append(
      element("summary", "As a list"),
      listOf(this.graph, (id) => this.select(id)),
    );
    return this.words;
  }

  opener(node) {
    const isOpen = this.opened.has(node.id);
    const what = node.members ? "them in the graph" : "the subworkflow";
    const words = node.members ? "Show" : "Open";
    return button(`${isOpen ? "Close" : words} ${what}`, () => {
      this.open(node.id, !isOpen);
      this.select(this.boxes.has(node.id) ? node.id : null);
    });
  }

  refuse() {
    this.frame.replaceChildren(element("p", `${count(this.graph)} nodes are too many to draw; see the list.`, "empty"));
    this.tools.bar.hidden = true;
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
    this.window.resize(this.placed);
    this.map.draw(this.placed);
    this.paint();
  }

  // From left to right, or from top to bottom where less of that is out of sight.
  best() {
    if (this.direction) return layout(this.graph, this.opened, this.direction);
    const wide = layout(this.graph, this.opened, "LR");
    this.direction = "LR";
    const [beside, below] = this.window.hidden(wide);
    if ((!beside && !below) || wide.boxes.length > MAX_NODES_TWICE) return wide;
    const tall = layout(this.graph, this.opened, "TB");
    const [besideTall] = this.window.hidden(tall);
    if (besideTall >= beside) return wide;
    this.direction = "TB";
    return tall;
  }

  paint() {
    for (const [id, drawn] of this.drawn) {
      const box = this.boxes.get(id);
      const { state, text } = box.node.kind === "step" ? stateOf(box.node, this.states) : { state: "", text: "" };
      const is = { isCurrent: id === this.current, isChosen: id === this.chosen, isFound: this.found.has(id) };
      paintBox(drawn, box, { state, text, words: stateWords(state), ...is });
      this.map.paint(id, state);
    }
    for (const line of this.canvas.querySelectorAll(".link")) {
      const isAtChosen = this.chosen !== null && [line.dataset.from, line.dataset.to].includes(this.chosen);
      line.classList.toggle("chosen", isAtChosen);
    }
    this.tools.paint();
  }

  // --- the whole window, a file, paper

  async toggleFull(isFull = !this.window.isFull) {
    if (isFull === this.window.isFull) return;
    this.window.isFull = isFull;
    this.target.classList.toggle("full", isFull);
    document.documentElement.classList.toggle("graph-is-full", isFull);
    try {
      if (isFull) await this.target.requestFullscreen();
      else if (document.fullscreenElement) await document.exitFullscreen();
    } catch {
      /* it is not allowed to: then it fills the page */
    }
    this.direction = null;
    this.draw();
    this.fit();
  }

  download() {
    download(standalone(this.canvas, this.placed, this.title()), `${this.name}-graph`);
  }

  print() {
    print(standalone(this.canvas, this.placed, this.title()), this.title());
  }

  title() {
    return `${this.label}: ${this.name}`;
  }

  // --- mouse and keyboard

  listen() {
    this.window.listen();
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    this.svg.addEventListener("click", (event) => this.onClick(event));
    this.svg.addEventListener("focusin", (event) => this.onFocus(event.target.closest("[data-node]")));
    this.target.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.window.isFull && !event.defaultPrevented) this.toggleFull(false);
    });
    document.addEventListener("fullscreenchange", () => {
      if (!document.fullscreenElement) this.toggleFull(false);
    });
    new ResizeObserver(() => {
      if (!this.window.isMoved && this.frame.clientWidth !== this.fittedTo) this.fit();
      this.fittedTo = this.frame.clientWidth;
      this.map.follow();
    }).observe(this.frame);
  }

  mark(ids) {
    this.found = ids;
    this.paint();
  }

  comeTo(id, isAsked) {
    if (isAsked) {
      this.reveal(id);
      this.select(id);
    }
    if (this.boxes.has(id)) this.window.show(this.boxes.get(id));
    this.window.isMoved = true;
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
    const { node, isOpen } = this.boxes.get(id);
    const opens = (node.graph || node.members) && !isOpen;
    if (opens || event.target.closest(".toggle")) this.open(id, !isOpen);
    if (!node.members) this.select(id);
    this.focus(this.drawn.has(id) ? id : node.members[0].id);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.boxes.size) return;
    const act = ARROWS[event.key] ? () => this.step(ARROWS[event.key]) : this.acts()[event.key];
    if (!act || (event.key === "Escape" && this.chosen === null)) return;
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
      "/": () => this.search.field.focus(),
      Home: () => this.focus(boxes[0].node.id),
      End: () => this.focus(boxes.at(-1).node.id),
    };
  }

  toggle() {
    const { node } = this.boxes.get(this.current);
    if (node.members) {
      this.open(node.id);
      this.focus(node.members[0].id);
    } else if (node.graph) {
      this.open(node.id, !this.opened.has(node.id));
      this.focus(node.id);
    } else this.select(node.id);
  }

  focus(id) {
    this.drawn.get(id)?.focus({ preventScroll: true });
  }

  step(direction) {
    const next = nextOf(this.placed, this.boxes.get(this.current), direction);
    if (next) this.focus(next);
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

// Return a node after the subworkflows that it is in, from the outside inwards; null if there is none.
function pathTo(graph, id) {
  for (const node of graph.nodes) {
    if (node.id === id) return [node];
    const inside = node.graph && pathTo(node.graph, id);
    if (inside) return [node, ...inside];
  }
  return null;
}

function count(graph) {
  return graph.nodes.reduce((sum, node) => sum + 1 + (node.graph ? count(node.graph) : 0), 0);
}
