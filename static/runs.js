// The list of runs: choose two to compare them; durations go on.
import { byId } from "./dom.js";
import { chooseTwo } from "./pair_choice.js";
import { keepTicking } from "./ticking.js";

const form = byId("chosen");

if (form) {
  chooseTwo((count) =>
    count === 2 ? "" : `Choose two runs to compare, or any to stop${count ? `; ${count} chosen` : ""}.`,
  );
  keepTicking(form);
}
