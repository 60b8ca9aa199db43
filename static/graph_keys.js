// The keyboard in a graph: which node is next in a direction.
export const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// Return the id of the nearest box in a direction, one that is linked to this one before any other.
export function nextOf(placed, from, [dx, dy]) {
  const ahead = aheadOf(placed.boxes, from, dx, dy);
  const linked = linkedTo(placed.lines, from.node.id);
  const nearest = (items) => items.sort((a, b) => a.cost - b.cost)[0];
  const next = nearest(ahead.filter(({ box }) => linked.has(box.node.id))) || nearest(ahead);
  return next ? next.box.node.id : null;
}

// The boxes in a direction of one, as {box, along, cost}.
function aheadOf(boxes, from, dx, dy) {
  const [x0, y0] = centre(from);
  return boxes
    .filter((box) => box !== from && !holds(box, from))
    .map((box) => {
      const [x, y] = [centre(box)[0] - x0, centre(box)[1] - y0];
      const along = x * dx + y * dy;
      return { box, along, cost: along + 2 * Math.abs(x * dy + y * dx) };
    })
    .filter(({ along }) => along > 1);
}

function linkedTo(lines, id) {
  const edges = lines.map(({ edge }) => edge).filter((edge) => !edge.minor);
  const after = edges.filter((edge) => edge.from === id).map((edge) => edge.to);
  const before = edges.filter((edge) => edge.to === id).map((edge) => edge.from);
  return new Set([...after, ...before]);
}

function holds(outer, inner) {
  return outer.isOpen && inner.node.id.startsWith(outer.node.id) && outer.depth < inner.depth;
}

function centre(box) {
  return [box.x + box.width / 2, box.y + box.height / 2];
}
