// Pairs of files into two lists, or into records: shown before it is done, and taken back by one button.
import { byId, element } from "./dom.js";
import { addItem, removeItem } from "./job_fields.js";
import { countOf } from "./job_progress.js";
import { bySample, pairsOf } from "./pairs.js";

const MAX_SHOWN = 200;
const FIRST = /(^|[^a-z0-9])(r?1|fwd|forward|first|left)([^a-z0-9]|$)/i;
const SECOND = /(^|[^a-z0-9])(r?2|rev|reverse|second|right)([^a-z0-9]|$)/i;

// What can take pairs: two lists of files, or the records of a list.
class TwoLists {
  constructor(page, lists, source) {
    this.page = page;
    this.lists = lists;
    this.source = source;
    this.text = "two inputs";
    this.choices = [
      { label: "First reads (R1) to", options: titles(lists), chosen: guess(titles(lists), FIRST, 0) },
      { label: "Second reads (R2) to", options: titles(lists), chosen: guess(titles(lists), SECOND, 1) },
    ];
  }

  problem([first, second]) {
    return first === second ? "Choose two inputs." : "";
  }

  rows(pairs, [first, second]) {
    const head = ["Sample", "Lane", `${titles(this.lists)[first]} gets`, `${titles(this.lists)[second]} gets`];
    return { head, rows: pairs.map((pair) => [pair.sample, pair.lane, pair.first.name, pair.second.name]) };
  }

  apply(pairs, picked) {
    const [first, second] = picked.map((index) => this.lists[index]);
    const touched = [...new Set([this.source, first, second])];
    const before = touched.map((list) => list.entries);
    const gone = new Set(pairs.flatMap((pair) => [pair.first, pair.second]));
    this.source.set(this.source.entries.filter((entry) => !gone.has(entry)));
    first.add(pairs.map((pair) => pair.first));
    second.add(pairs.map((pair) => pair.second));
    return () => touched.forEach((list, index) => list.set(before[index].map((entry) => list.revived(entry))));
  }
}

class Records {
  constructor(page, box, source) {
    this.page = page;
    this.box = box;
    this.source = source;
    const { files, texts } = JSON.parse(box.dataset.pairs);
    Object.assign(this, { files, texts, text: `records of ${box.dataset.title}` });
    const names = files.map((part) => part.name);
    this.choices = [
      { label: "First reads (R1) to", options: names, chosen: guess(names, FIRST, 0) },
      { label: "Second reads (R2) to", options: names, chosen: guess(names, SECOND, 1) },
    ];
    const none = ["nowhere", ...texts.map((part) => part.name)];
    if (texts.length) this.choices.push({ label: "Name of the sample to", options: none, chosen: 1 });
  }

  problem([first, second]) {
    return first === second ? "Choose two fields." : "";
  }

  // Lanes of one sample are one record where its fields take lists.
  records(pairs, [first, second]) {
    return this.files[first].many && this.files[second].many ? bySample(pairs) : pairs.map((pair) => [pair]);
  }

  rows(pairs, picked) {
    const [first, second] = picked;
    const head = ["Record", "Lane", `${this.files[first].name} gets`, `${this.files[second].name} gets`];
    const names = (some, side) => some.map((pair) => pair[side].name).join(", ");
    const lanes = (some) =>
      some
        .map((pair) => pair.lane)
        .filter(Boolean)
        .join(", ");
    const shown = this.records(pairs, picked);
    return {
      head,
      rows: shown.map((some) => [some[0].sample, lanes(some), names(some, "first"), names(some, "second")]),
    };
  }

  apply(pairs, picked) {
    const before = this.source?.entries;
    const gone = new Set(pairs.flatMap((pair) => [pair.first, pair.second]));
    this.source?.set(before.filter((entry) => !gone.has(entry)));
    const items = this.records(pairs, picked).map((some) => this.fill(some, picked));
    return () => {
      for (const item of items) removeItem(item);
      if (this.source) this.source.set(before);
      else for (const entry of gone) entry.group?.cancel();
    };
  }

  fill(pairs, [first, second, text]) {
    const item = addItem(this.box);
    const name = item.querySelector("[name$='-item']").name.replace(/-item$/, "");
    this.page.enhance(item);
    this.put(
      `${name}-${this.files[first].index}`,
      pairs.map((pair) => pair.first),
    );
    this.put(
      `${name}-${this.files[second].index}`,
      pairs.map((pair) => pair.second),
    );
    if (text) byId(`${name}-${this.texts[text - 1].index}`).value = pairs[0].sample;
    return item;
  }

  put(name, entries) {
    const box = byId(name);
    if (box.matches("[data-files]")) this.page.listOf(box).add(entries);
    else this.page.boxOf(box.closest("[data-file]")).take(entries[0]);
  }
}

const titles = (lists) => lists.map((list) => list.title);

function guess(names, pattern, otherwise) {
  const found = names.findIndex((name) => pattern.test(name.replace(/([a-z])([A-Z0-9])/g, "$1_$2")));
  return found >= 0 ? found : Math.min(otherwise, names.length - 1);
}

// Ask where the pairs among the entries go. `source` is the list that they are in, if they are; `record` the only target.
export function askForPairs(page, { entries, source = null, record = null }) {
  const { pairs, rest } = pairsOf(entries);
  const targets = targetsOf(page, source, record);
  if (!pairs.length || !targets.length) return false;
  const dialog = byId("pairs");
  const state = { page, pairs, targets, target: targets[0], source, rest };
  const left = rest.length ? ` ${countOf(rest.length, "file")} without a partner.` : "";
  byId("pairs-note").textContent = `${countOf(pairs.length, "pair")} of files were recognised by their names.${left}`;
  const kept = source ? "They stay where they are" : "They are not used";
  byId("pairs-rest").textContent = rest.length ? `${kept}: ${listed(rest)}` : "";
  byId("pairs-apply").onclick = () => apply(dialog, state);
  showTargets(state);
  dialog.showModal();
  return true;
}

function listed(entries) {
  const names = entries.slice(0, 10).map((entry) => entry.name);
  return `${names.join(", ")}${entries.length > names.length ? ", …" : ""}`;
}

function targetsOf(page, source, record) {
  if (record) return [new Records(page, record, null)];
  const lists = page.lists().filter((list) => list.kind === "File");
  const two = lists.length > 1 ? [new TwoLists(page, lists, source)] : [];
  return [...two, ...page.recordLists().map((box) => new Records(page, box, source))];
}

function showTargets(state) {
  const place = byId("pairs-targets");
  const where = state.targets.map((target) => target.text);
  const first = where.length > 1 ? [field("Put them into", where, state.targets.indexOf(state.target))] : [];
  first[0]?.querySelector("select").addEventListener("change", (event) => {
    state.target = state.targets[event.target.value];
    showTargets(state);
    byId("pairs-targets").querySelector("select").focus();
  });
  const rest = state.target.choices.map(({ label, options, chosen }) => field(label, options, chosen));
  state.selects = rest.map((made) => made.querySelector("select"));
  for (const select of state.selects) select.addEventListener("change", () => preview(state));
  place.replaceChildren(...first, ...rest);
  preview(state);
}

function field(label, options, chosen) {
  const made = element("label", "", "field");
  const select = element("select");
  select.append(...options.map((text, index) => Object.assign(element("option", text), { value: index })));
  select.value = chosen;
  made.append(element("span", label), select);
  return made;
}

function preview(state) {
  const picked = (state.picked = state.selects.map((select) => Number(select.value)));
  const problem = state.target.problem(picked);
  const { head, rows } = state.target.rows(state.pairs, picked);
  byId("pairs-head").replaceChildren(...head.map((text) => Object.assign(element("th", text), { scope: "col" })));
  const cells = (row) => row.map((text) => element("td", text));
  const made = rows.slice(0, MAX_SHOWN).map((row) => {
    const line = element("tr");
    line.append(...cells(row));
    return line;
  });
  byId("pairs-rows").replaceChildren(...made);
  const done = byId("pairs-apply");
  done.disabled = Boolean(problem);
  done.textContent = problem || `Put ${countOf(state.pairs.length, "pair")} there`;
}

function apply(dialog, { page, pairs, target, picked, source }) {
  dialog.close();
  const undo = target.apply(pairs, picked);
  page.done(`${countOf(pairs.length, "pair")} of files were put into ${target.text}.`, undo, source?.box ?? target.box);
}
