// The graph of a workflow: an SVG to look at, zoom, pan and walk through by keyboard, with the details of what is chosen.
//
//   const view = cwlGraph.mount(element, graph, { label, details });   or   await cwlGraph.load(element)
//   view.setStates({ taskId: "running", other: { state: "running", text: "3 of 10" } });
//   view.select(nodeId); view.onSelect((node) => ...);
"use strict";
window.cwlGraph = (() => {
  const { layout, caption, subtitle, CHARACTER } = window.cwlGraphLayout;
  const { details, element } = window.cwlGraphDetails;
  const { stateOf } = window.cwlGraphStates;
  const SVG = "http://www.w3.org/2000/svg";
  const ZOOM = { least: 0.1, most: 3, factor: 1.25, fitted: 1.1 };
  const HEIGHT = { least: 140, most: 560 };
  const SMALL = CHARACTER * 0.92;
  const MOST_NODES = 1500;
  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  async function load(target, options = {}) {
    const answer = await fetch(target.dataset.graph, { headers: { "X-Requested-With": "XMLHttpRequest" } });
    if (!answer.ok) throw new Error(`The graph can't be loaded (${answer.status}).`);
    return mount(target, await answer.json(), options);
  }

  function mount(target, graph, options = {}) {
    return new View(target, graph, options).handle();
  }

  class View {
    constructor(target, graph, { label = "Graph of the workflow", details: withDetails = true } = {}) {
      this.target = target;
      this.graph = graph;
      this.label = label;
      this.opened = new Set();
      this.states = {};
      this.listeners = [];
      this.chosen = null;
      this.current = graph.nodes.length ? graph.nodes[0].id : null;
      this.isMoved = false; // by hand: then a new size of the page leaves it alone
      this.build(withDetails);
      if (count(graph) > MOST_NODES) {
        this.frame.replaceChildren(element("p", `${count(graph)} nodes are too many to draw; see the list.`, "empty"));
        this.list.parentElement.open = true;
        this.draw = () => {};
        return;
      }
      this.listen();
      this.draw();
      new ResizeObserver(() => { if (!this.isMoved) this.fit(); }).observe(this.frame);
    }

    handle() {
      return {
        setStates: (states) => { this.states = states; this.paint(); },
        select: (id) => this.select(id),
        onSelect: (callback) => { this.listeners.push(callback); },
        open: (id, isOpen = true) => this.open(id, isOpen),
        fit: () => this.fit(),
      };
    }

    build(withDetails) {
      this.frame = element("div", "", "graph-frame");
      this.svg = make("svg", { role: "group", "aria-label": `${this.label}. Arrow keys go from node to node, Enter shows details, Space opens a subworkflow, plus, minus and 0 zoom.` });
      this.canvas = make("g");
      this.svg.append(arrowHead(), this.canvas);
      const tools = element("div", "", "graph-tools");
      for (const [text, name, act] of [["+", "Zoom in", () => this.zoom(ZOOM.factor)], ["−", "Zoom out", () => this.zoom(1 / ZOOM.factor)], ["⤢", "Show all", () => this.fit()]]) {
        const button = element("button", text, "btn outline small");
        button.type = "button";
        button.title = name;
        button.setAttribute("aria-label", name);
        button.addEventListener("click", act);
        tools.append(button);
      }
      this.frame.append(this.svg, tools);
      this.panel = element("div", "", "graph-details");
      this.panel.setAttribute("role", "region");
      this.panel.setAttribute("aria-label", "Details of the chosen node");
      this.panel.tabIndex = 0;
      this.panel.hidden = true;
      const words = element("details", "", "graph-list");
      this.list = this.listed(this.graph);
      words.append(element("summary", "As a list"), this.list);
      const body = element("div", "", "graph-body");
      body.append(this.frame);
      if (withDetails) body.append(this.panel);
      this.target.replaceChildren(body, words);
      this.target.classList.add("cwl-graph");
    }

    // The same in words, for whoever can't use the drawing.
    listed(graph) {
      const list = element("ol");
      const names = new Map(graph.nodes.map((node) => [node.id, caption(node)]));
      for (const node of graph.nodes) {
        const before = graph.edges.filter((edge) => edge.to === node.id).map((edge) => names.get(edge.from));
        const item = element("li");
        const button = element("button", caption(node), "entry");
        button.type = "button";
        button.addEventListener("click", () => this.select(node.id));
        item.append(button, element("span", `${node.kind}${before.length ? `, from ${before.join(", ")}` : ""}`, "muted"));
        item.dataset.listed = node.id;
        if (node.graph) item.append(this.listed(node.graph));
        list.append(item);
      }
      return list;
    }

    listen() {
      this.svg.addEventListener("keydown", (event) => this.onKey(event));
      this.svg.addEventListener("click", (event) => this.onClick(event));
      this.svg.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
      this.svg.addEventListener("pointerdown", (event) => this.onPress(event));
      this.svg.addEventListener("focusin", (event) => {
        const drawn = event.target.closest("[data-node]");
        if (!drawn) return;
        this.current = drawn.dataset.node;
        this.paint();
        this.show(this.current);
      });
    }

    draw() {
      this.placed = this.best();
      this.boxes = new Map(this.placed.boxes.map((box) => [box.node.id, box]));
      if (!this.boxes.has(this.current) && this.placed.boxes.length) this.current = this.placed.boxes[0].node.id;
      const lines = this.placed.lines.map(({ edge, path }) => {
        const line = make("path", { class: "link", d: path, "data-from": edge.from, "data-to": edge.to });
        line.append(titled(edge.links.join("\n")));
        return line;
      });
      const boxes = this.placed.boxes.map((box) => drawBox(box));
      const opened = boxes.filter((_, at) => this.placed.boxes[at].isOpen);
      const rest = boxes.filter((_, at) => !this.placed.boxes[at].isOpen);
      this.canvas.replaceChildren(...opened, ...lines, ...rest);
      this.drawn = new Map(boxes.map((box) => [box.dataset.node, box]));
      this.paint();
      this.fit();
    }

    // From left to right, or from top to bottom where that can be larger.
    best() {
      if (this.direction) return layout(this.graph, this.opened, this.direction);
      const wide = layout(this.graph, this.opened, "LR");
      const room = this.frame.clientWidth || 800;
      this.direction = "LR";
      if (wide.width <= room || wide.boxes.length > 300) return wide;
      const tall = layout(this.graph, this.opened, "TB");
      const scale = (placed) => Math.min(room / placed.width, HEIGHT.most / placed.height);
      this.direction = scale(tall) > scale(wide) ? "TB" : "LR";
      return this.direction === "TB" ? tall : wide;
    }

    paint() {
      if (!this.drawn) return;
      for (const [id, drawn] of this.drawn) {
        const { node } = this.boxes.get(id);
        const { state, text } = node.kind === "step" ? stateOf(node, this.states) : { state: "", text: "" };
        const words = [state.replaceAll("_", " "), text].filter(Boolean).join(" · ");
        if (state) drawn.dataset.state = state;
        else delete drawn.dataset.state;
        const second = drawn.querySelector(".second");
        if (second) second.textContent = words ? shorten(words, this.boxes.get(id).width - 24, SMALL) : second.dataset.text;
        drawn.setAttribute("aria-label", [spoken(node), words].filter(Boolean).join(", "));
        drawn.setAttribute("tabindex", id === this.current ? "0" : "-1");
        drawn.classList.toggle("chosen", id === this.chosen);
      }
      for (const line of this.canvas.querySelectorAll(".link")) {
        line.classList.toggle("chosen", this.chosen !== null && [line.dataset.from, line.dataset.to].includes(this.chosen));
      }
    }

    select(id) {
      const found = id === null ? null : find(this.graph, id);
      this.chosen = found ? id : null;
      this.panel.hidden = !found;
      if (found) {
        this.panel.replaceChildren(...details(found));
        if (found.graph) this.panel.append(this.opener(found));
        if (this.boxes && this.boxes.has(id)) this.current = id;
      }
      this.paint();
      for (const listener of this.listeners) listener(found);
    }

    opener(node) {
      const isOpen = this.opened.has(node.id);
      const button = element("button", isOpen ? "Close the subworkflow" : "Open the subworkflow", "btn outline");
      button.type = "button";
      button.addEventListener("click", () => { this.open(node.id, !isOpen); this.select(node.id); });
      return button;
    }

    open(id, isOpen) {
      if (isOpen) this.opened.add(id);
      else this.opened.delete(id);
      this.draw();
    }

    focus(id) {
      this.drawn.get(id).focus({ preventScroll: true });
    }

    onClick(event) {
      if (this.wasDragged) return;
      const drawn = event.target.closest("[data-node]");
      if (!drawn) return;
      const id = drawn.dataset.node;
      if (event.target.closest(".toggle")) this.open(id, !this.opened.has(id));
      else this.select(id);
      this.focus(id);
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const acts = {
        Enter: () => this.select(this.current),
        " ": () => this.toggle(),
        Escape: () => this.select(null),
        "+": () => this.zoom(ZOOM.factor),
        "=": () => this.zoom(ZOOM.factor),
        "-": () => this.zoom(1 / ZOOM.factor),
        0: () => this.fit(),
        Home: () => this.focus(this.placed.boxes[0].node.id),
        End: () => this.focus(this.placed.boxes.at(-1).node.id),
      };
      const act = ARROWS[event.key] ? () => this.step(...ARROWS[event.key]) : acts[event.key];
      if (!act || !this.boxes.size) return;
      event.preventDefault();
      act();
    }

    toggle() {
      const { node } = this.boxes.get(this.current);
      if (!node.graph) this.select(node.id);
      else {
        this.open(node.id, !this.opened.has(node.id));
        this.focus(node.id);
      }
    }

    // Go to the nearest node in a direction, one that is linked to this one before any other.
    step(dx, dy) {
      const from = this.boxes.get(this.current);
      const linked = new Set(this.placed.lines.flatMap(({ edge }) => (
        edge.from === this.current ? [edge.to] : edge.to === this.current ? [edge.from] : [])));
      const ahead = this.placed.boxes.filter((box) => box !== from && !holds(box, from)).map((box) => {
        const [x, y] = [centre(box)[0] - centre(from)[0], centre(box)[1] - centre(from)[1]];
        const along = x * dx + y * dy;
        return { box, along, cost: along + 2 * Math.abs(x * dy + y * dx) };
      }).filter(({ along }) => along > 1);
      const nearest = (items) => items.sort((a, b) => a.cost - b.cost)[0];
      const next = nearest(ahead.filter(({ box }) => linked.has(box.node.id))) || nearest(ahead);
      if (next) this.focus(next.box.node.id);
    }

    onWheel(event) {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      const box = this.svg.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
    }

    onPress(event) {
      this.wasDragged = false;
      if (event.button) return;
      const start = { x: event.clientX - this.at.x, y: event.clientY - this.at.y, left: event.clientX, top: event.clientY };
      const move = (now) => {
        if (!this.wasDragged && Math.hypot(now.clientX - start.left, now.clientY - start.top) < 4) return;
        this.wasDragged = true;
        this.svg.classList.add("dragged");
        this.put(now.clientX - start.x, now.clientY - start.y, this.at.scale);
      };
      const stop = () => {
        removeEventListener("pointermove", move);
        this.svg.classList.remove("dragged");
      };
      addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) addEventListener(name, stop, { once: true });
    }

    fit() {
      const width = this.frame.clientWidth || 800;
      const { placed } = this;
      if (!placed.width) return;
      const scale = Math.min(ZOOM.fitted, width / placed.width, HEIGHT.most / placed.height);
      const height = Math.min(HEIGHT.most, Math.max(HEIGHT.least, placed.height * scale));
      this.svg.style.height = `${height}px`;
      this.put((width - placed.width * scale) / 2, (height - placed.height * scale) / 2, scale);
      this.isMoved = false;
    }

    zoom(factor, [x, y] = [this.frame.clientWidth / 2, this.svg.clientHeight / 2]) {
      const scale = Math.min(ZOOM.most, Math.max(ZOOM.least, this.at.scale * factor));
      const by = scale / this.at.scale;
      this.put(x - (x - this.at.x) * by, y - (y - this.at.y) * by, scale);
    }

    put(x, y, scale) {
      this.at = { x, y, scale };
      this.isMoved = true;
      this.canvas.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${scale.toFixed(3)})`);
    }

    // Move a node that has got the focus into sight.
    show(id) {
      const box = this.boxes.get(id);
      const { x, y, scale } = this.at;
      const shift = (from, size, room) => (from < 8 ? 8 - from : from + size > room - 8 ? Math.max(room - 8 - from - size, 8 - from) : 0);
      const right = shift(x + box.x * scale, box.width * scale, this.frame.clientWidth);
      const down = shift(y + box.y * scale, box.height * scale, this.svg.clientHeight);
      if (right || down) this.put(x + right, y + down, scale);
    }
  }

  function drawBox({ node, x, y, width, height, depth, isOpen }) {
    const box = make("g", { class: `node ${node.kind}${isOpen ? " open" : ""}`, role: "button", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-node": node.id, "data-depth": depth });
    if (node.graph) box.setAttribute("aria-expanded", String(isOpen));
    const radius = node.kind === "step" ? 6 : height / 2;
    if (node.scatter && node.scatter.length && !isOpen) box.append(make("rect", { class: "behind", x: 4, y: 4, width, height, rx: radius }));
    box.append(titled(caption(node)), make("rect", { class: "shape", width, height, rx: radius }));
    if (node.kind === "step") box.append(make("path", { class: "stripe", d: `M6 0 A6 6 0 0 0 0 6 V${height - 6} A6 6 0 0 0 6 ${height} Z` }));
    const left = node.kind === "step" ? 14 : width / 2;
    const room = width - (node.graph ? 44 : 24);
    box.append(text("first", shorten(caption(node), room), left, node.kind === "step" ? 22 : height / 2 + 4.5));
    if (node.kind === "step" && !isOpen) {
      const second = text("second", shorten(subtitle(node), room, SMALL), 14, 40);
      second.dataset.text = second.textContent;
      box.append(second);
    }
    if (node.graph) box.append(toggle(width, isOpen));
    return box;
  }

  function toggle(width, isOpen) {
    const made = make("g", { class: "toggle", transform: `translate(${width - 30} 6)` });
    made.append(titled(isOpen ? "Close the subworkflow" : "Open the subworkflow"), make("rect", { width: 24, height: 24, rx: 4 }));
    made.append(make("path", { d: isOpen ? "M7 12H17" : "M7 12H17M12 7V17" }));
    return made;
  }

  function spoken(node) {
    if (node.kind !== "step") return `${node.kind} ${caption(node)}, ${node.type}`;
    const more = [node.graph ? "subworkflow" : node.tool, node.scatter.length ? "scattered" : "", node.when ? "conditional" : ""];
    return [`step ${caption(node)}`, ...more].filter(Boolean).join(", ");
  }

  function arrowHead() {
    const defs = make("defs");
    const marker = make("marker", { id: "cwl-graph-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" });
    marker.append(make("path", { d: "M0 0 8 4 0 8Z", class: "arrow" }));
    defs.append(marker);
    return defs;
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

  function make(name, attributes = {}) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  return { mount, load, details };
})();
