// Durations that go on, and times that are left: counted here, without asking the server.
const SECOND = 1000;

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function tick(scope) {
  if (document.hidden) return;
  const show = (element, milliseconds) => {
    const text = duration(Math.max(0, milliseconds / SECOND));
    if (element.textContent !== text) element.textContent = text;
  };
  for (const element of scope.querySelectorAll("[data-since]")) {
    show(element, Date.now() - Date.parse(element.dataset.since));
  }
  for (const element of scope.querySelectorAll("[data-until]")) {
    show(element, Date.parse(element.dataset.until) - Date.now());
  }
}

// Count until `isOver`; without that, as long as there is something to count.
export function keepTicking(scope, isOver = () => !scope.querySelector("[data-since], [data-until]")) {
  tick(scope);
  const timer = setInterval(() => {
    tick(scope);
    if (isOver()) clearInterval(timer);
  }, SECOND);
}
