// Moments are sent in UTC, and shown in the reader's own time.
export function localTimes(scope) {
  for (const time of scope.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.valueOf())) time.textContent = moment.toLocaleString();
  }
}
