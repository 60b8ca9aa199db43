// Two of a list are chosen to be compared.
import { byId } from "./dom.js";

// Keep the button and the line beside it as the choice is; `words` says for a number of chosen ones what to do. Return a
// function that looks again, for when the list has changed.
export function chooseTwo(words) {
  const form = byId("chosen");
  const update = () => {
    const count = form.querySelectorAll("[name=run]:checked").length;
    byId("compare").disabled = count !== 2;
    byId("chosen-help").textContent = words(count);
  };
  form.addEventListener("change", update);
  update();
  return update;
}
