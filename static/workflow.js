// The page of a workflow: its graph.
"use strict";
(() => {
  const target = document.getElementById("graph");
  if (!target) return;
  window.cwlGraph.load(target).catch((error) => {
    target.replaceChildren(window.cwlGraphDetails.element("p", `${error.message} Reload the page to try again.`, "empty"));
  });
})();
