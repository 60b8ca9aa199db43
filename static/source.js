// Line numbers of a source are links: to copy, to send, to come back to.
import { byId, element } from "./dom.js";

for (const line of document.querySelectorAll("pre.linked .line")) {
  const number = element("a", "", "number");
  number.href = `#${line.id}`;
  number.tabIndex = -1;
  number.setAttribute("aria-hidden", "true");
  number.dataset.line = line.dataset.line;
  line.prepend(number);
}
if (location.hash) byId(location.hash.slice(1))?.scrollIntoView({ block: "center" });
