// The graph of a workflow: an SVG to look at, zoom, pan and walk through by keyboard, with the details of what is chosen.
//
//   const view = mount(element, graph, { label, withDetails });   or   await load(element)
//   view.setStates({ taskId: "running", other: { state: "running", text: "3 of 10" } });
//   view.select(nodeId); view.open(nodeId); view.fit();
import { GraphView } from "./graph_view.js";
import { getJson } from "./http.js";

export function mount(target, graph, options = {}) {
  return new GraphView(target, graph, options);
}

// Draw the graph that `data-graph` names.
export async function load(target, options = {}) {
  return mount(target, await getJson(target.dataset.graph), options);
}
