// From files that were chosen or dropped to the values of an input: each file with its secondary files, each folder.
import { compareNames } from "./job_entries.js";
import { Group, uuid } from "./job_upload.js";

const MARKS = ["$(", "${"]; // of an expression, which only the server knows

// `files` are [path, file]. Return the groups, and those that the input does not mean: hidden ones, other types.
export function groupsOf(files, { kind, patterns, globs, all = false }) {
  const order = [...files].sort(([one], [other]) => compareNames(one, other));
  if (kind === "Directory") return foldersOf(order);
  const isMeant = all ? () => true : meant(globs);
  const { mains, beside } = withSecondary(order, patterns);
  const wanted = mains.filter(([path]) => isMeant(path));
  const left = mains.filter(([path]) => !isMeant(path));
  const shared = sharedFolder();
  return {
    groups: wanted.map((main) => new Group([main, ...(beside.get(main) ?? [])], { folder: shared(main[0]) })),
    left,
  };
}

// What comes together is kept together; two of one name can't be.
function sharedFolder() {
  const folder = uuid();
  const seen = new Set();
  return (path) => {
    if (seen.has(path)) return uuid();
    seen.add(path);
    return folder;
  };
}

function foldersOf(files) {
  const found = new Map();
  const left = [];
  for (const [path, file] of files) {
    const top = path.split("/")[0];
    if (top === path) left.push([path, file]);
    else found.set(top, [...(found.get(top) ?? []), [path, file]]);
  }
  return { groups: [...found.values()].map((parts) => new Group(parts, { isFolder: true })), left };
}

// Only what comes out of a folder, where nobody has chosen each file, is left out.
function meant(globs) {
  const fits = matcher(globs);
  return (path) => !path.includes("/") || (!path.slice(path.lastIndexOf("/") + 1).startsWith(".") && fits(path));
}

function matcher(globs) {
  const patterns = globs.split(/\s+/).filter(Boolean).map(toRegExp);
  return (path) => !patterns.length || patterns.some((pattern) => pattern.test(path.slice(path.lastIndexOf("/") + 1)));
}

function toRegExp(glob) {
  const text = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${text}$`, "i");
}

function withSecondary(files, patterns) {
  const plain = patterns.filter((pattern) => !MARKS.some((mark) => pattern.includes(mark)));
  const byPath = new Map(files.map((part) => [part[0], part]));
  const beside = new Map();
  const taken = new Set();
  for (const main of files) {
    const names = plain.map((pattern) => secondaryName(main[0], pattern.replace(/\?$/, "")));
    const parts = names.map((name) => byPath.get(name)).filter((part) => part && part !== main);
    beside.set(main, parts);
    for (const part of parts) taken.add(part);
  }
  return { mains: files.filter((part) => !taken.has(part)), beside };
}

function secondaryName(path, pattern) {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  let name = path.slice(folder.length);
  let rest = pattern;
  for (; rest.startsWith("^"); rest = rest.slice(1)) {
    name = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : name;
  }
  return folder + name + rest;
}
