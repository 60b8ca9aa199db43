// Choose two runs in the list to compare them.
import { byId } from "./dom.js";

const form = byId("chosen");

function update() {
  const count = form.querySelectorAll("[name=run]:checked").length;
  byId("compare").disabled = count !== 2;
  const chosen = count ? `; ${count} chosen.` : ".";
  byId("chosen-help").textContent = count === 2 ? "" : `Choose two runs to compare${chosen}`;
}

if (form) {
  form.addEventListener("change", update);
  update();
}
