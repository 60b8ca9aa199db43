// A drawn graph to take away: one SVG with all that it needs in it, in light colours, for a file or for paper.
import { make } from "./graph_drawing.js";

// What XML can't hold: control characters, halves of pairs.
const NO_XML = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;
const PAGES_OWN = ["role", "tabindex", "aria-label", "aria-expanded", "data-depth"];
const GREY = "#57534d";
const COLOURS = {
  success: "#007600",
  failed: "#e7000b",
  running: "#007595",
  skipped: "#e60076",
  awaiting_input: "#9810fa",
  deferred: "#9810fa",
  up_for_retry: "#a65f00",
  waits: "#a65f00",
  queued: GREY,
  scheduled: GREY,
  upstream_failed: "#7b8ba0",
  not_run: "#7b8ba0",
  stopped: "#7b8ba0",
};
// No variables: programs that draw SVG know none.
const ruleOf = ([state, colour]) =>
  `.step[data-state="${state}"] .stripe { fill: ${colour}; } .step[data-state="${state}"] .shape { stroke: ${colour}; }`;
const STYLE = `
text { font: 500 13px Inter, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #161d2d; unicode-bidi: isolate; }
.second { font-weight: 400; font-size: 12px; fill: #3e5873; }
.input text, .output text { text-anchor: middle; font-weight: 400; }
.link { fill: none; stroke: #3e5873; stroke-width: 1.25; opacity: 0.6; marker-end: url(#cwl-graph-arrow); }
.arrow { fill: #3e5873; }
.shape, .behind { fill: #fff; stroke: #7b8ba0; }
.behind, .input .shape, .output .shape { fill: #edf0f4; }
.open .shape { fill: #eef4fb; fill-opacity: 0.6; stroke-dasharray: 4 3; }
.stripe { fill: none; }
${Object.entries(COLOURS).map(ruleOf).join("\n")}
`;

// Return the SVG element of a graph that was placed, from the canvas that it is drawn on.
export function standalone(canvas, { width, height }, title) {
  const [wide, high] = [Math.ceil(width), Math.ceil(height)];
  const made = make("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high });
  const [name, style] = [make("title"), make("style")];
  name.textContent = title;
  style.textContent = STYLE;
  const ground = make("rect", { width: "100%", height: "100%", fill: "#fff" });
  const arrow = canvas.ownerSVGElement.querySelector("defs").cloneNode(true);
  made.append(name, style, arrow, ground, canvas.cloneNode(true));
  made.querySelectorAll(".toggle, .minor").forEach((part) => part.remove());
  for (const part of made.querySelectorAll("*")) clean(part);
  return made;
}

function clean(part) {
  for (const attribute of PAGES_OWN) part.removeAttribute(attribute);
  part.classList.remove("chosen", "found");
  for (const { name, value } of [...part.attributes]) part.setAttribute(name, value.replace(NO_XML, "\uFFFD"));
  for (const child of part.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) child.data = child.data.replace(NO_XML, "\uFFFD");
  }
}

export function download(svg, name) {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  link.download = `${name.replace(/[^\w.-]+/gu, "-").slice(0, 100) || "workflow"}.svg`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Print a graph alone, on one page. Within Airflow's frame nothing may print, so a frame of Airflow's own page does.
export function print(svg, title) {
  const host = hostOf();
  const frame = host.createElement("iframe");
  frame.style.cssText = "position: fixed; width: 0; height: 0; border: 0";
  frame.setAttribute("aria-hidden", "true");
  host.body.append(frame);
  const page = frame.contentDocument;
  page.title = title;
  const style = page.createElement("style");
  style.textContent = `@page { margin: 10mm; size: ${svg.viewBox.baseVal.width > svg.viewBox.baseVal.height ? "landscape" : "portrait"}; }
    body { margin: 0; } svg { display: block; width: 100%; height: auto; max-height: 96vh; }`;
  page.head.append(style);
  page.body.append(page.importNode(svg, true));
  frame.contentWindow.addEventListener("afterprint", () => frame.remove());
  frame.contentWindow.print();
}

function hostOf() {
  try {
    return parent.document;
  } catch {
    return document; // in a frame of another site
  }
}
