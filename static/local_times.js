// Moments are sent in UTC, and shown as Airflow shows them: in the zone that was chosen there, else the browser's own.
const KEY = "timezone"; // of Airflow's interface; its value is JSON

function formatIn(timeZone) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone }); // 2026-01-31 23:59:59
}

function chosenFormat() {
  try {
    return formatIn(JSON.parse(localStorage.getItem(KEY)) ?? undefined);
  } catch {
    return formatIn(); // storage is blocked, or has something else
  }
}

export function localTimes(scope) {
  const format = chosenFormat();
  for (const time of scope.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.valueOf())) time.textContent = format.format(moment);
  }
}

// Another document of Airflow, such as the one around this frame, tells that somebody chose another zone.
addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) localTimes(document);
});
