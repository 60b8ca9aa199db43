// Choose two runs in the list to compare them.
"use strict";
(() => {
  const form = document.getElementById("chosen");
  if (!form) return;
  const compare = document.getElementById("compare");
  const help = document.getElementById("chosen-help");

  function update() {
    const count = form.querySelectorAll("[name=run]:checked").length;
    compare.disabled = count !== 2;
    help.textContent = count === 2 ? "" : `Choose two runs to compare${count ? `; ${count} chosen.` : "."}`;
  }

  form.addEventListener("change", update);
  update();
})();
