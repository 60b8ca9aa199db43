// What a node of a workflow's graph is, in words: its tool, container, inputs, outputs, requirements.
import { element } from "./dom.js";
import { caption } from "./graph_layout.js";

export function details(node) {
  if (node.members) return ofGroup(node);
  const parts = [element("h3", caption(node))];
  const title = node.label && node.label !== node.name ? `${node.name} · ` : "";
  parts.push(element("p", title + kind(node), "muted"));
  if (node.doc) parts.push(element("p", node.doc, "lines"));
  if (node.kind === "step") parts.push(...ofStep(node));
  return parts;
}

// All inputs, or all outputs, with their types.
function ofGroup(group) {
  const items = group.members.map((node) => ({ name: caption(node), type: node.type }));
  return [element("h3", group.name), ports(items, () => "")];
}

function kind(node) {
  if (node.kind === "input") return `input of type ${node.type}`;
  if (node.kind === "output") return `output of type ${node.type}`;
  return node.tool;
}

function ofStep(node) {
  const facts = [
    ["Runs", node.tool_name],
    ["Container", container(node)],
    ["Scatter", scatter(node)],
    ["Not allowed here", node.refused],
  ];
  const parts = [facts.some(([, text]) => text) ? list(facts) : null];
  if (node.when) parts.push(element("h4", "Only when"), element("pre", node.when));
  if (node.command) {
    parts.push(element("h4", node.tool === "ExpressionTool" ? "Expression" : "Command"), element("pre", node.command));
  }
  parts.push(
    element("h4", "Inputs"),
    ports(node.inputs, source),
    element("h4", "Outputs"),
    ports(node.outputs, () => ""),
  );
  const shown = node.requirements.filter((item) => !item.class.endsWith("FeatureRequirement"));
  if (shown.length) {
    parts.push(
      element("h4", "Requirements"),
      list(shown.map((item) => [item.class, (item.hint ? "(hint) " : "") + item.text])),
    );
  }
  return parts.filter(Boolean);
}

function container(node) {
  if (!node.container) return "";
  return node.needs_container ? node.container : `${node.container} (a hint)`;
}

function scatter(node) {
  if (!node.scatter.length) return "";
  return node.scatter.join(", ") + (node.scatter_method ? ` (${node.scatter_method})` : "");
}

function source(port) {
  const notes = [];
  if (port.from.length) notes.push(`from ${port.from.join(", ")}`);
  if (port.scattered) notes.push("one element at a time");
  if (port.link_merge) notes.push(port.link_merge);
  if (port.pick_value) notes.push(port.pick_value);
  if (port.value_from) notes.push(`value ${port.value_from}`);
  if (port.default !== undefined) notes.push(`default ${port.default}`);
  return notes.join("; ");
}

function ports(items, note) {
  if (!items.length) return element("p", "none", "muted");
  const made = element("ul", "", "ports");
  for (const item of items) {
    const line = element("li");
    line.append(element("strong", item.name), " ", element("code", item.type || "Any"));
    if (note(item)) line.append(element("span", note(item), "muted"));
    made.append(line);
  }
  return made;
}

function list(facts) {
  const made = element("dl");
  for (const [name, text] of facts) {
    if (text !== undefined && text !== null && text !== "") made.append(element("dt", name), element("dd", text));
    else if (text === "" && name.endsWith("Requirement")) made.append(element("dt", name), element("dd", ""));
  }
  return made;
}
