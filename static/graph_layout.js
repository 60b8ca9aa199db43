// Where the nodes and links of a workflow's graph are drawn. An opened subworkflow is laid out by itself, as one large node.
import dagre from "./vendor/dagre-3.1.3/dagre.esm.js";

const STEP = { least: 132, most: 240, height: 52, padding: 28 };
const PORT = { least: 72, most: 200, height: 30, padding: 28 };
export const CHARACTER = 7.2;
const HEAD = 40;
const INSET = 16;
const LARGE = 150; // links

// Return {width, height, boxes, lines}: boxes and lines from the outside inwards, in the coordinates of the whole.
export function layout(graph, opened, direction) {
  const placed = place(graph, opened, direction);
  const result = { width: placed.width, height: placed.height, boxes: [], lines: [] };
  flatten(placed, 0, 0, 0, result);
  return result;
}

function place(graph, opened, direction) {
  const plan = new dagre.graphlib.Graph();
  plan.setGraph({ rankdir: direction, nodesep: 18, ranksep: 44, edgesep: 12, marginx: 8, marginy: 8 });
  plan.setDefaultEdgeLabel(() => ({}));
  const inner = new Map();
  for (const node of graph.nodes) {
    if (node.graph && opened.has(node.id)) inner.set(node.id, place(node.graph, opened, direction));
    plan.setNode(node.id, size(node, inner.get(node.id)));
  }
  for (const edge of shaping(graph)) plan.setEdge(edge.from, edge.to, {});
  dagre.layout(plan);
  const whole = plan.graph();
  return { graph, plan, inner, width: finite(whole.width), height: finite(whole.height) };
}

// The links that nodes are placed by. In a large graph, an input that many steps read would cost seconds: its links
// to steps that have their place by other steps are only drawn.
function shaping(graph) {
  if (graph.edges.length <= LARGE) return graph.edges;
  const inputs = new Set(graph.nodes.filter((node) => node.kind === "input").map((node) => node.id));
  const placed = new Set(graph.edges.filter((edge) => !inputs.has(edge.from)).map((edge) => edge.to));
  return graph.edges.filter((edge) => !inputs.has(edge.from) || !placed.has(edge.to));
}

function size(node, inner) {
  if (inner) return { width: Math.max(inner.width, STEP.least) + 2 * INSET, height: inner.height + HEAD + INSET };
  const kind = node.kind === "step" ? STEP : PORT;
  const text = Math.max(caption(node).length, node.kind === "step" ? subtitle(node).length * 0.92 : 0);
  const width = Math.min(kind.most, Math.max(kind.least, text * CHARACTER + kind.padding + (node.graph ? 20 : 0)));
  return { width, height: kind.height };
}

function flatten(placed, x, y, depth, result) {
  for (const node of placed.graph.nodes) {
    const at = placed.plan.node(node.id);
    const box = {
      node,
      depth,
      x: x + at.x - at.width / 2,
      y: y + at.y - at.height / 2,
      width: at.width,
      height: at.height,
    };
    const inner = placed.inner.get(node.id);
    box.isOpen = Boolean(inner);
    result.boxes.push(box);
    if (inner) flatten(inner, box.x + (box.width - inner.width) / 2, box.y + HEAD, depth + 1, result);
  }
  for (const edge of placed.graph.edges) {
    const [from, to] = [placed.plan.node(edge.from), placed.plan.node(edge.to)];
    const shaped = placed.plan.edge(edge.from, edge.to);
    const between = shaped ? shaped.points.slice(1, -1) : [];
    const corners = between.length > 1 ? between : []; // a link to the next rank needs none
    const isWide = placed.plan.graph().rankdir === "LR";
    const points = [
      isWide ? { x: from.x + from.width / 2, y: from.y } : { x: from.x, y: from.y + from.height / 2 },
      ...corners,
      isWide ? { x: to.x - to.width / 2, y: to.y } : { x: to.x, y: to.y - to.height / 2 },
    ];
    result.lines.push({
      edge,
      path: curve(
        points.map((point) => [x + point.x, y + point.y]),
        isWide,
      ),
    });
  }
}

// A smooth line that leaves and arrives in the direction of the flow.
function curve(points, isWide) {
  const text = (...values) => values.map((value) => value.toFixed(1)).join(" ");
  let path = `M${text(...points[0])}`;
  for (let at = 1; at < points.length; at += 1) {
    const [[ax, ay], [bx, by]] = [points[at - 1], points[at]];
    path += isWide
      ? `C${text((ax + bx) / 2, ay, (ax + bx) / 2, by, bx, by)}`
      : `C${text(ax, (ay + by) / 2, bx, (ay + by) / 2, bx, by)}`;
  }
  return path;
}

function finite(value) {
  return Number.isFinite(value) ? value : 0; // of a graph without nodes
}

export function caption(node) {
  return node.label || node.name;
}

export function subtitle(node) {
  const marks = [node.tool_name || node.tool];
  if (node.scatter.length) marks.unshift("scatter");
  if (node.when) marks.unshift("when");
  return marks.join(" · ");
}
