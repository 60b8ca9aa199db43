// The list of workflows: one dialog that asks before any of them is deleted.
"use strict";
(() => {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-delete]");
    if (!button) return;
    const dialog = document.getElementById("delete");
    dialog.querySelector("form").action = button.dataset.delete;
    document.getElementById("delete-name").textContent = button.dataset.name;
    dialog.showModal();
  });
})();
