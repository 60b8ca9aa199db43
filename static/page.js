// What every page does once it is there.
import { localTimes } from "./local_times.js";
import "./menu.js";
import "./shortcuts.js";
import "./tell.js";

localTimes(document);
