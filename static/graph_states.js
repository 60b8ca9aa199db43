// From the states of tasks to the state of a node: a step may be several tasks, a subworkflow is all of its steps.

const AT_WORK = [
  "running",
  "awaiting_input",
  "waits",
  "deferred",
  "restarting",
  "up_for_retry",
  "up_for_reschedule",
  "queued",
  "scheduled",
];
const NOT_RUN = ["upstream_failed", "not_run"];
const ENDED = ["success", "skipped", "failed", "stopped", "removed", ...NOT_RUN];
const WORDS = {
  awaiting_input: "waits for approval",
  upstream_failed: "not run",
  up_for_retry: "waits for another try",
};

// Return a state as people read it.
export function stateWords(state) {
  return WORDS[state] || state.replaceAll("_", " ");
}

// Return {state, text}; `states` has a state, or {state, text}, for each task id.
export function stateOf(node, states) {
  const own = entry(states[node.id]);
  const found = tasksOf(node)
    .map((task) => entry(states[task]).state)
    .filter(Boolean);
  if (!found.length) return { state: "", text: "" };
  const has = (state) => found.includes(state);
  const wanted = ["failed", ...AT_WORK, "stopped", ...NOT_RUN].find(has);
  if (wanted) return { state: wanted, text: wanted === own.state ? own.text : "" };
  if (ENDED.includes(own.state)) return isWhole(node, states) ? own : { state: "running", text: own.text };
  return { state: found.every((state) => state === "no_status") ? "" : "running", text: "" };
}
function isWhole(node, states) {
  return node.tasks.every((task) => ENDED.includes(entry(states[task]).state) || !(task in states));
}

function tasksOf(node) {
  const inner = node.graph ? node.graph.nodes.filter((child) => child.kind === "step").flatMap(tasksOf) : [];
  return [...(node.tasks || []), ...inner];
}

function entry(value) {
  if (!value) return { state: "", text: "" };
  return typeof value === "string" ? { state: value, text: "" } : { state: value.state || "", text: value.text || "" };
}
