// A graph in words, for whoever can't use the drawing: its nodes, and what each is linked from.
import { button, element } from "./dom.js";
import { caption } from "./graph_layout.js";

export function listOf(graph, select) {
  const list = element("ol");
  const names = new Map(graph.nodes.map((node) => [node.id, caption(node)]));
  for (const node of graph.nodes) {
    const before = graph.edges.filter((edge) => edge.to === node.id).map((edge) => names.get(edge.from));
    list.append(itemOf(node, before, select));
  }
  return list;
}

function itemOf(node, before, select) {
  const item = element("li");
  const from = before.length ? `, from ${before.join(", ")}` : "";
  item.append(
    button(caption(node), () => select(node.id), "entry"),
    element("span", node.kind + from, "muted"),
  );
  if (node.graph) item.append(listOf(node.graph, select));
  return item;
}
