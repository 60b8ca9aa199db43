// Dagre says in which rank and order nodes are; here they are brought as near to what they are linked to as there is
// room for. Its own places keep far apart what is linked over many ranks, and a page would show a few boxes only.
const SWEEPS = 24;
const GAP = { box: 16, bend: 10 };
const MARGIN = 8;

// Change the places of a laid out dagre graph across its direction: of its nodes, and of the bends of its links.
export function compact(plan) {
  const across = plan.graph().rankdir === "LR" ? "y" : "x";
  const { items, ranks } = itemsOf(plan, across);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    const sides = sweep < SWEEPS - 4 ? [isDown ? "before" : "after"] : ["before", "after"];
    for (const rank of isDown ? ranks : ranks.toReversed()) arrange(rank, sides);
  }
  const least = Math.min(...items.map((item) => item.at - item.size / 2));
  for (const item of items) item.place[across] = item.at - least + MARGIN;
  const extent = Math.max(...items.map((item) => item.at + item.size / 2)) - least + 2 * MARGIN;
  plan.graph()[across === "x" ? "width" : "height"] = extent;
}

// What has a place: boxes and bends, with what each is linked to in the ranks before and after; and the ranks in order.
function itemsOf(plan, across) {
  const along = across === "x" ? "y" : "x";
  const make = (place, size, gap) => ({ place, size, gap, at: place[across], before: [], after: [] });
  const boxes = new Map(
    plan.nodes().map((id) => {
      const node = plan.node(id);
      return [id, make(node, across === "x" ? node.width : node.height, GAP.box)];
    }),
  );
  const items = [...boxes.values()];
  for (const edge of plan.edges()) {
    const bends = plan.edge(edge).points.slice(1, -1);
    const chain = [boxes.get(edge.v), ...bends.map((point) => make(point, 0, GAP.bend)), boxes.get(edge.w)];
    items.push(...chain.slice(1, -1));
    for (let at = 1; at < chain.length; at += 1) {
      chain[at - 1].after.push(chain[at]);
      chain[at].before.push(chain[at - 1]);
    }
  }
  const ranks = new Map();
  for (const item of items) {
    const key = Math.round(item.place[along]);
    if (!ranks.has(key)) ranks.set(key, []);
    ranks.get(key).push(item);
  }
  const ordered = [...ranks].sort(([a], [b]) => a - b).map(([, rank]) => rank.sort((a, b) => a.at - b.at));
  return { items, ranks: ordered };
}

// Put the items of a rank as near as can be to where they would be, in their order and with gaps between them: the
// least squares under these bounds, by pooling neighbours that would be out of order.
function arrange(rank, sides) {
  const offsets = [0];
  for (let at = 1; at < rank.length; at += 1) {
    const [left, right] = [rank[at - 1], rank[at]];
    offsets.push(offsets[at - 1] + (left.size + right.size) / 2 + Math.max(left.gap, right.gap));
  }
  const pools = [];
  rank.forEach((item, at) => {
    pools.push({ sum: wanted(item, sides) - offsets[at], count: 1 });
    while (pools.length > 1 && mean(pools.at(-2)) > mean(pools.at(-1))) {
      const last = pools.pop();
      pools.at(-1).sum += last.sum;
      pools.at(-1).count += last.count;
    }
  });
  let at = 0;
  for (const pool of pools) {
    for (let within = 0; within < pool.count; within += 1, at += 1) rank[at].at = mean(pool) + offsets[at];
  }
}

function mean({ sum, count }) {
  return sum / count;
}

function wanted(item, sides) {
  const linked = sides.flatMap((side) => item[side]);
  return linked.length ? linked.reduce((sum, other) => sum + other.at, 0) / linked.length : item.at;
}
