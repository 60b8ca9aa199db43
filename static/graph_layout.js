// Where the nodes and links of a workflow's graph are drawn. An opened subworkflow is laid out by itself, as one large node.
import { compact } from "./graph_compaction.js";
import { fold } from "./graph_folding.js";
import { FONTS, widthOf, wrap } from "./graph_text.js";
import dagre from "./vendor/dagre-3.1.3/dagre.esm.js";

const STEP = { least: 156, height: 50, line: 17 };
const WIDEST = { LR: { most: 240, lines: 2 }, TB: { most: 188, lines: 3 } }; // beside each other, boxes are narrow
const PILL = { least: 72, most: 220, height: 30, padding: 28 };
export const PADDING = 14;
export const TOGGLE = { room: 40, size: 24 };
const HEAD = 44;
const INSET = 16;
const LARGE = 150; // links

// Return {width, height, boxes, lines}: boxes and lines from the outside inwards, in the coordinates of the whole.
export function layout(graph, opened, direction) {
  const placed = place(graph, opened, direction);
  const result = { width: placed.width, height: placed.height, boxes: [], lines: [] };
  flatten(placed, 0, 0, 0, result);
  return result;
}

function place(whole, opened, direction) {
  const graph = fold(whole, opened);
  const plan = new dagre.graphlib.Graph();
  plan.setGraph({ rankdir: direction, nodesep: 16, ranksep: 40, edgesep: 12, marginx: 8, marginy: 8 });
  plan.setDefaultEdgeLabel(() => ({}));
  const inner = new Map();
  for (const node of graph.nodes) {
    if (node.graph && opened.has(node.id)) inner.set(node.id, place(node.graph, opened, direction));
    plan.setNode(node.id, size(node, inner.get(node.id), WIDEST[direction]));
  }
  for (const edge of shaping(graph)) plan.setEdge(edge.from, edge.to, {});
  dagre.layout(plan);
  if (graph.nodes.length) compact(plan);
  const { width, height } = plan.graph();
  return { graph, plan, inner, width: finite(width), height: finite(height) };
}

// The links that nodes are placed by. In a large graph, an input that many steps read would cost seconds: its links
// to steps that have their place by other steps are only drawn.
function shaping(graph) {
  const edges = graph.edges.filter((edge) => !edge.minor);
  if (edges.length <= LARGE) return edges;
  const inputs = new Set(graph.nodes.filter((node) => node.kind === "input").map((node) => node.id));
  const placed = new Set(edges.filter((edge) => !inputs.has(edge.from)).map((edge) => edge.to));
  return edges.filter((edge) => !inputs.has(edge.from) || !placed.has(edge.to));
}

function size(node, inner, { most, lines: count }) {
  const kept = node.graph || node.members ? TOGGLE.room : 0;
  if (inner) {
    const width = Math.max(inner.width, most) + 2 * INSET;
    const lines = wrap(caption(node), FONTS.first, width - PADDING - kept, 1);
    return { width, height: inner.height + HEAD + INSET, lines };
  }
  if (node.kind !== "step") {
    const [line] = wrap(caption(node), FONTS.pill, PILL.most - PILL.padding - kept, 1);
    return {
      width: Math.max(PILL.least, widthOf(line, FONTS.pill) + PILL.padding + kept),
      height: PILL.height,
      lines: [line],
    };
  }
  const lines = wrap(caption(node), FONTS.first, most - 2 * PADDING - kept, count);
  const text = Math.max(
    ...lines.map((line) => widthOf(line, FONTS.first) + kept),
    widthOf(subtitle(node), FONTS.second),
  );
  const width = Math.min(most, Math.max(STEP.least, text + 2 * PADDING + 2));
  return { width, height: STEP.height + STEP.line * (lines.length - 1), lines };
}

function flatten(placed, x, y, depth, result) {
  for (const node of placed.graph.nodes) {
    const { width, height, lines, ...at } = placed.plan.node(node.id);
    const box = { node, depth, x: x + at.x - width / 2, y: y + at.y - height / 2, width, height, lines };
    const inner = placed.inner.get(node.id);
    box.isOpen = Boolean(inner);
    result.boxes.push(box);
    if (inner) flatten(inner, box.x + (width - inner.width) / 2, box.y + HEAD, depth + 1, result);
  }
  for (const edge of placed.graph.edges) {
    const isWide = placed.plan.graph().rankdir === "LR";
    const points = cornersOf(placed.plan, edge, isWide).map((point) => [x + point.x, y + point.y]);
    result.lines.push({ edge, path: curve(points, isWide) });
  }
}

function cornersOf(plan, edge, isWide) {
  const [from, to] = [plan.node(edge.from), plan.node(edge.to)];
  const shaped = plan.edge(edge.from, edge.to);
  const between = shaped ? shaped.points.slice(1, -1).filter((_, at) => at % 2) : []; // the others are between ranks
  return [
    isWide ? { x: from.x + from.width / 2, y: from.y } : { x: from.x, y: from.y + from.height / 2 },
    ...between,
    isWide ? { x: to.x - to.width / 2, y: to.y } : { x: to.x, y: to.y - to.height / 2 },
  ];
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
  return node.label?.trim() || node.name;
}

export function subtitle(node) {
  const marks = [node.tool_name || node.tool];
  if (node.scatter.length) marks.unshift("scatter");
  if (node.when) marks.unshift("when");
  return marks.join(" · ");
}
