// How wide texts of a graph are, and how they are broken and shortened to what there is room for.
const MAX_LETTERS = 400;
const ELLIPSIS = "…";
const BREAKS = /[\s_\-/.:]/u; // a line may end after one of these
const measured = new Map();
let context = null;

export const FONTS = { first: "500 13px", second: "400 12px", pill: "400 13px" };

export function widthOf(text, font) {
  const key = `${font}|${text}`;
  if (!measured.has(key)) measured.set(key, measure(text, font));
  return measured.get(key);
}

function measure(text, font) {
  context ||= document.createElement("canvas").getContext("2d");
  context.font = `${font} ${getComputedStyle(document.documentElement).getPropertyValue("--af-font") || "sans-serif"}`;
  return context.measureText(text).width;
}

// Return the text, or its beginning and an ellipsis, so that it fits.
export function shorten(text, font, room) {
  const letters = lettersOf(text);
  if (letters.length === [...text].length && widthOf(text, font) <= room) return text;
  const count = fitting(letters, font, room - widthOf(ELLIPSIS, font));
  return letters.slice(0, Math.max(1, count)).join("").trimEnd() + ELLIPSIS;
}

// Return the text as at most so many lines that fit.
export function wrap(text, font, room, most) {
  const lines = [];
  let rest = lettersOf(text.trim());
  while (rest.length && lines.length < most - 1) {
    const count = fitting(rest, font, room);
    if (count >= rest.length) break;
    const at = lastBreak(rest, count) || Math.max(1, count);
    lines.push(rest.slice(0, at).join("").trimEnd());
    rest = lettersOf(rest.slice(at).join("").trimStart());
  }
  if (rest.length || !lines.length) lines.push(shorten(rest.join(""), font, room));
  return lines;
}

function lettersOf(text) {
  return [...text.slice(0, 4 * MAX_LETTERS)].slice(0, MAX_LETTERS);
}

// How many of the letters fit.
function fitting(letters, font, room) {
  let [fits, most] = [0, letters.length];
  while (fits < most) {
    const middle = Math.ceil((fits + most) / 2);
    if (widthOf(letters.slice(0, middle).join(""), font) <= room) fits = middle;
    else most = middle - 1;
  }
  return fits;
}

function lastBreak(letters, count) {
  if (letters[count] === " ") return count;
  for (let at = count; at > count / 3; at -= 1) {
    if (BREAKS.test(letters[at - 1])) return at;
  }
  return 0;
}
