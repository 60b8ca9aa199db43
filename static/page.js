// What every page does once it is there.
import { localTimes } from "./local_times.js";

localTimes(document);
