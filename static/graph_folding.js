// Inputs and outputs as one node each, where there are many, until they are asked for.
const FOLDABLE = 5;
const MAX_PILLS = 8; // more are folded at first,
const MAX_LINKS = 20; // and so are fewer that a graph is full of lines from
const KINDS = ["input", "output"];

// Return what of a graph can be folded, as nodes that stand for all inputs, or all outputs.
export function groupsOf(graph) {
  return KINDS.map((kind) => {
    const members = graph.nodes.filter((node) => node.kind === kind);
    return members.length >= FOLDABLE ? groupOf(kind, members) : null;
  }).filter(Boolean);
}

// Return the ids of the groups of a graph, and of its subworkflows, that are not folded at first.
export function openAtFirst(graph) {
  const few = groupsOf(graph).filter(({ members }) => {
    const ids = new Set(members.map(({ id }) => id));
    const links = graph.edges.filter(({ from, to }) => ids.has(from) || ids.has(to));
    return members.length <= MAX_PILLS && links.length <= MAX_LINKS;
  });
  const inner = graph.nodes.filter((node) => node.graph).flatMap((node) => openAtFirst(node.graph));
  return [...few.map(({ id }) => id), ...inner];
}

function groupOf(kind, members) {
  const [{ id }] = members;
  const name = `${members.length} ${kind}s`;
  return {
    id: `${id.slice(0, id.lastIndexOf("/") + 1)}*`,
    kind,
    name,
    label: null,
    doc: null,
    type: "folded",
    members,
  };
}

// Return the graph with a node for each group that is not in `opened`.
//
// Of the links of such a node those are `minor` that do not say where it belongs: from all inputs to steps that read
// another step as well, and to all outputs from steps that another step reads. They are drawn when they are asked for.
export function fold(graph, opened) {
  const groups = groupsOf(graph).filter((group) => !opened.has(group.id));
  if (!groups.length) return graph;
  const heldBy = new Map(groups.flatMap((group) => group.members.map(({ id }) => [id, group.id])));
  const [inputs, outputs] = KINDS.map((kind) => groups.filter((group) => group.kind === kind));
  const nodes = [...inputs, ...graph.nodes.filter(({ id }) => !heldBy.has(id)), ...outputs];
  return { nodes, edges: merged(graph, heldBy, groups) };
}

function merged(graph, heldBy, groups) {
  const found = new Map();
  for (const edge of graph.edges) {
    const [from, to] = [heldBy.get(edge.from) || edge.from, heldBy.get(edge.to) || edge.to];
    const key = JSON.stringify([from, to]);
    if (!found.has(key)) found.set(key, { from, to, links: [] });
    found.get(key).links.push(...edge.links);
  }
  const isGroup = new Set(groups.map(({ id }) => id));
  const isStep = new Set(graph.nodes.filter(({ kind }) => kind === "step").map(({ id }) => id));
  const between = graph.edges.filter(({ from, to }) => isStep.has(from) && isStep.has(to));
  const [reading, read] = [new Set(between.map(({ to }) => to)), new Set(between.map(({ from }) => from))];
  for (const edge of found.values()) {
    edge.minor = (isGroup.has(edge.from) && reading.has(edge.to)) || (isGroup.has(edge.to) && read.has(edge.from));
  }
  return [...found.values()];
}
