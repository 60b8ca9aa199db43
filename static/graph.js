// The graph of a workflow: an SVG to look at, zoom, pan and walk through by keyboard, with the details of what is chosen.
//
//   const view = mount(element, graph, { label, name, withDetails });   or   await load(element)
//   view.setStates({ taskId: "running", other: { state: "running", text: "3 of 10" } });
//   view.select(nodeId); view.open(nodeId); view.fit();
import { GraphView } from "./graph_view.js";
import { getJson } from "./http.js";

export function mount(target, graph, options = {}) {
  return new GraphView(target, graph, options);
}

// Draw the graph that `data-graph` names; `data-name` is what it is called where it is taken away.
export async function load(target, options = {}) {
  const { graph, name } = target.dataset;
  return mount(target, await getJson(graph), name ? { name, ...options } : options);
}
