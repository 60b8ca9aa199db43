// Draw a PDF with pdf.js: browsers show none inside of a sandboxed frame. It is loaded when the first one is looked at.
import { element } from "./dom.js";

const MAX_PAGES = 20;
const WIDTH = 1000;
const LIBRARY = new URL("vendor/pdfjs-dist-6.5.438/", import.meta.url);

export function drawPdfs(scope) {
  scope.querySelectorAll("[data-pdf]").forEach(draw);
}

async function draw(target) {
  const note = target.querySelector("p");
  try {
    const found = await open(target.dataset.pdf);
    const shown = Math.min(found.numPages, MAX_PAGES);
    note.textContent = shown < found.numPages ? `The first ${shown} of ${found.numPages} pages.` : "";
    for (let number = 1; number <= shown && target.isConnected; number += 1) {
      await drawPage(await found.getPage(number), target, number, found.numPages);
    }
    found.loadingTask.destroy();
  } catch (error) {
    note.className = "err";
    note.textContent = `The document can't be drawn (${error.message}). Download it to look at it.`;
  }
}

async function open(url) {
  const pdf = await import(new URL("pdf.min.mjs", LIBRARY));
  pdf.GlobalWorkerOptions.workerSrc = new URL("pdf.worker.min.mjs", LIBRARY).href;
  return pdf.getDocument({ url, isEvalSupported: false, enableXfa: false, useWasm: false, stopAtErrors: false })
    .promise;
}

async function drawPage(page, target, number, count) {
  const viewport = page.getViewport({ scale: WIDTH / page.getViewport({ scale: 1 }).width });
  const canvas = element("canvas");
  canvas.width = viewport.width;
  canvas.height = viewport.height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Page ${number} of ${count}`);
  target.append(canvas);
  await page.render({ canvas, canvasContext: canvas.getContext("2d"), viewport }).promise;
  const words = await page.getTextContent();
  canvas.after(element("p", words.items.map((item) => item.str).join(" "), "hidden")); // for those who see no picture
}
