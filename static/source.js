// Line numbers of a source are links: to copy, to send, to come back to.
"use strict";
(() => {
  for (const line of document.querySelectorAll("pre.linked .line")) {
    const number = document.createElement("a");
    number.className = "number";
    number.href = `#${line.id}`;
    number.tabIndex = -1;
    number.setAttribute("aria-hidden", "true");
    number.dataset.line = line.dataset.line;
    line.prepend(number);
  }
  const marked = location.hash && document.getElementById(location.hash.slice(1));
  if (marked) marked.scrollIntoView({ block: "center" });
})();
