// Send a test report without leaving the page.
"use strict";
(() => {
  const form = document.getElementById("test-form");
  const result = document.getElementById("test-result");
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("info", "Sending…");
    try {
      const headers = { "X-Requested-With": "XMLHttpRequest" };
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers });
      const data = await answer.json();
      if (!answer.ok) tell("error", data.detail);
      else tell(data.ok ? "success" : "error", `${data.message} (${data.seconds.toFixed(2)} s)`);
    } catch {
      tell("error", "The server can't be reached. Try again.");
    }
  });

  function tell(kind, text) {
    const box = document.createElement("div");
    box.className = `alert ${kind}`;
    box.textContent = text;
    result.replaceChildren(box);
  }
})();
