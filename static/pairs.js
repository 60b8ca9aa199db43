// Which files belong together: R1 and R2, _1 and _2, of each lane. By their names alone.

const SIDES = /(?<=[._-]|^)(R|r|Read|read)?([12])(?=[._-]|$)/g;
const LANE = /[._-](L\d{3}|[Ll]ane_?\d+)(?=[._-]|$)/;
const SAMPLE_NUMBER = /_S\d+$/; // of Illumina's names: sample_S1_L001_R1_001.fastq.gz

// `items` have a name and a `where`. Return pairs {sample, lane, first, second} and the rest, both in the given order.
export function pairsOf(items) {
  const rest = new Set(items);
  const pairs = [];
  const candidates = new Map(items.map((item) => [item, sidesOf(item)]));
  const most = Math.max(0, ...[...candidates.values()].map((sides) => sides.length));
  for (let rank = 0; rank < most; rank += 1) {
    for (const { parts, side } of byKey(rest, candidates, rank)) {
      const { sample, lane } = side;
      pairs.push({ sample, lane, first: parts[0], second: parts[1] });
      for (const part of parts) rest.delete(part);
    }
  }
  const places = new Map(items.map((item, index) => [item, index]));
  pairs.sort((one, other) => places.get(one.first) - places.get(other.first));
  return { pairs, rest: items.filter((item) => rest.has(item)) };
}

// Files of one key, of which there is just one for each side.
function byKey(items, candidates, rank) {
  const found = new Map();
  for (const item of items) {
    const side = candidates.get(item)[rank];
    if (!side) continue;
    if (!found.has(side.key)) found.set(side.key, { side, sides: [[], []] });
    found.get(side.key).sides[side.number - 1].push(item);
  }
  return [...found.values()]
    .filter(({ sides }) => sides.every((some) => some.length === 1))
    .map(({ side, sides }) => ({ side, parts: sides.map(([item]) => item) }));
}

// Where a name may say which side it is: first where an R stands before, then the last place.
function sidesOf({ name, folder = "" }) {
  const found = [...name.matchAll(SIDES)].reverse();
  found.sort((one, other) => Boolean(other[1]) - Boolean(one[1]));
  return found.map((match) => {
    const before = name.slice(0, match.index);
    const after = name.slice(match.index + match[0].length);
    const lane = before.match(LANE)?.[1] ?? after.match(LANE)?.[1] ?? "";
    const sample = before.replace(/[._-]+$/, "").replace(LANE, "");
    return {
      key: JSON.stringify([folder, before, match[1] ?? "", after]),
      number: Number(match[2]),
      lane,
      sample: (lane ? sample.replace(SAMPLE_NUMBER, "") : sample) || name,
    };
  });
}

// Pairs of one sample together: the lanes that it was read on.
export function bySample(pairs) {
  const found = new Map();
  for (const pair of pairs) found.set(pair.sample, [...(found.get(pair.sample) ?? []), pair]);
  return [...found.values()];
}
