// Looking for a node by its name: what is found is marked, and one after the other comes into sight.
import { element } from "./dom.js";

const MAX_FOUND = 500;

export class GraphSearch {
  found = []; // ids
  at = -1;

  // `graph` is searched with all of its subworkflows; `go(id, isAsked)` brings a node into sight, `mark(ids)` marks.
  constructor(graph, { go, mark, leave }) {
    this.nodes = nodesOf(graph);
    Object.assign(this, { go, mark, leave });
    this.field = element("input", "", "graph-search");
    this.field.type = "search";
    this.field.placeholder = "Find a step";
    this.field.setAttribute("aria-label", "Find a step, an input or an output in the graph");
    this.status = element("span", "", "muted");
    this.status.setAttribute("role", "status");
    this.field.addEventListener("input", () => this.look());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
  }

  look() {
    const words = this.field.value.trim().toLowerCase().split(/\s+/u).filter(Boolean);
    const matches = ({ text }) => words.length && words.every((word) => text.includes(word));
    this.found = this.nodes
      .filter(matches)
      .slice(0, MAX_FOUND)
      .map(({ id }) => id);
    this.at = this.found.length ? 0 : -1;
    this.mark(new Set(this.found));
    if (this.found.length) this.go(this.found[0], false);
    this.tell(words.length > 0);
  }

  tell(isAsked) {
    const none = isAsked ? "Nothing is called so" : "";
    this.status.textContent = this.found.length ? `${this.at + 1} of ${this.found.length}` : none;
  }

  onKey(event) {
    const acts = { Enter: () => this.next(event.shiftKey ? -1 : 1), ArrowDown: () => this.leave(this.found[this.at]) };
    const act = acts[event.key];
    if (!act || !this.found.length) return;
    event.preventDefault();
    act();
  }

  // The first Enter opens what the first one is in; each after it goes on.
  next(by) {
    if (this.wasOpened === this.found[this.at]) this.at = (this.at + by + this.found.length) % this.found.length;
    this.wasOpened = this.found[this.at];
    this.go(this.wasOpened, true);
    this.tell(true);
  }
}

// The nodes of a graph and of its subworkflows, steps first, with what each may be looked for by.
function nodesOf(graph) {
  const found = [];
  const walk = ({ nodes }) => {
    for (const node of nodes) {
      const texts = [node.name, node.label, node.tool_name].filter(Boolean);
      found.push({ id: node.id, kind: node.kind, text: texts.join("\n").toLowerCase() });
      if (node.graph) walk(node.graph);
    }
  };
  walk(graph);
  return [...found.filter(({ kind }) => kind === "step"), ...found.filter(({ kind }) => kind !== "step")];
}
