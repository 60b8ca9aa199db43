// The page of a workflow: its graph.
import { byId, element } from "./dom.js";
import { load } from "./graph.js";

const target = byId("graph");
if (target) {
  load(target).catch((error) => {
    target.replaceChildren(element("p", `${error.message} Reload the page to try again.`, "empty"));
  });
}
