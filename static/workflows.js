// The list of workflows: one dialog that asks before any of them is deleted.
import { byId } from "./dom.js";

document.addEventListener("click", (event) => {
  const pressed = event.target instanceof Element && event.target.closest("[data-delete]");
  if (!pressed) return;
  const dialog = byId("delete");
  dialog.querySelector("form").action = pressed.dataset.delete;
  byId("delete-name").textContent = pressed.dataset.name;
  dialog.showModal();
});
