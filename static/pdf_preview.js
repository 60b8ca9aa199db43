// Draw a PDF with pdf.js: browsers show none inside of a sandboxed frame. It is loaded when the first one is looked at.
"use strict";
(() => {
  const MOST_PAGES = 20;
  const WIDTH = 1000;
  const library = new URL("vendor/pdfjs-dist-6.5.438/", document.currentScript.src);

  async function open(url) {
    const pdf = await import(new URL("pdf.min.mjs", library));
    pdf.GlobalWorkerOptions.workerSrc = new URL("pdf.worker.min.mjs", library).href;
    return pdf.getDocument({ url, isEvalSupported: false, enableXfa: false, useWasm: false, stopAtErrors: false }).promise;
  }

  async function drawPage(page, target, number, count) {
    const viewport = page.getViewport({ scale: WIDTH / page.getViewport({ scale: 1 }).width });
    const canvas = document.createElement("canvas");
    canvas.width = viewport.width;
    canvas.height = viewport.height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Page ${number} of ${count}`);
    target.append(canvas);
    await page.render({ canvas, canvasContext: canvas.getContext("2d"), viewport }).promise;
    const words = await page.getTextContent();
    const text = document.createElement("p"); // for those who do not see the picture
    text.className = "hidden";
    text.textContent = words.items.map((item) => item.str).join(" ");
    canvas.after(text);
  }

  window.cwl.drawPdf = async (target) => {
    const note = target.querySelector("p");
    try {
      const found = await open(target.dataset.pdf);
      const shown = Math.min(found.numPages, MOST_PAGES);
      note.textContent = shown < found.numPages ? `The first ${shown} of ${found.numPages} pages.` : "";
      for (let number = 1; number <= shown && target.isConnected; number += 1) {
        await drawPage(await found.getPage(number), target, number, found.numPages);
      }
      found.loadingTask.destroy();
    } catch (error) {
      note.className = "err";
      note.textContent = `The document can't be drawn (${error.message}). Download it to look at it.`;
    }
  };
  document.querySelectorAll("[data-pdf]").forEach(window.cwl.drawPdf);
})();
