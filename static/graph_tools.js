// What stands above a graph: searching in it, folding, zooming, the whole window, taking it away.
import { button, element } from "./dom.js";
import { groupsOf } from "./graph_folding.js";
import { ZOOM_FACTOR } from "./graph_window.js";

export class GraphTools {
  constructor(view) {
    this.view = view;
    this.bar = element("div", "", "graph-bar");
    this.folds = groupsOf(view.graph).map((group) => this.fold(group));
    const folds = element("div", "", "row");
    folds.append(...this.folds.map(({ made }) => made));
    const search = element("div", "", "row");
    search.append(view.search.field, view.search.status);
    this.full = tool("Full", "The whole screen", () => view.toggleFull());
    this.bar.append(search, folds, this.sizes());
  }

  fold(group) {
    const made = button("", () => this.view.open(group.id, !this.view.opened.has(group.id)), "btn outline small");
    return { group, made };
  }

  sizes() {
    const { view } = this;
    const made = element("div", "", "row graph-tools");
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", "Size of the graph");
    made.append(
      tool("−", "Zoom out", () => view.window.zoom(1 / ZOOM_FACTOR)),
      tool("+", "Zoom in", () => view.window.zoom(ZOOM_FACTOR)),
      tool("Fit", "To a size that can be read", () => view.fit()),
      tool("All", "Show all", () => view.window.fitWhole(view.placed)),
      this.full,
      tool("SVG", "Download as SVG", () => view.download()),
      tool("Print", "Print the graph", () => view.print()),
    );
    return made;
  }

  paint() {
    for (const { group, made } of this.folds) {
      const isOpen = this.view.opened.has(group.id);
      made.textContent = `${isOpen ? "Fold" : "Show"} ${group.name}`;
      made.setAttribute("aria-expanded", String(isOpen));
    }
    const { isFull } = this.view.window;
    this.full.setAttribute("aria-pressed", String(isFull));
  }
}

function tool(text, name, act) {
  const made = button(text, act, "btn outline small");
  made.title = name;
  made.setAttribute("aria-label", text.length > 2 ? `${text}: ${name}` : name);
  return made;
}
