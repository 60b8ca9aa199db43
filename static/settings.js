// Send a test report without leaving the page; copy keys; go to what is wrong.
"use strict";
(() => {
  document.querySelector("[aria-invalid=true]")?.focus(); // what is wrong, wherever it is on the page
  const form = document.getElementById("test-form");
  const result = document.getElementById("test-result");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    tell("info", "Sending…");
    try {
      const headers = { "X-Requested-With": "XMLHttpRequest" };
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers });
      const data = await answer.json();
      if (!answer.ok) tell("error", data.detail);
      else tell(data.ok ? "success" : "error", data.message, `${data.answer}\nIt took ${seconds(data.seconds)}.`.trim());
    } catch {
      tell("error", "The server can't be reached. Try again.");
    } finally {
      button.disabled = false;
    }
  });

  for (const button of document.querySelectorAll("[data-copy]")) {
    const text = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      text.select();
      // Without https there is no clipboard: the text is selected, and the user can copy it.
      await navigator.clipboard?.writeText(text.value).then(() => show(button, "Copied")).catch(() => {});
    });
  }

  function show(button, label) {
    const usual = button.textContent;
    button.textContent = label;
    setTimeout(() => { button.textContent = usual; }, 2000);
  }

  function seconds(value) {
    return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
  }

  function tell(kind, title, text) {
    const box = document.createElement("div");
    const content = document.createElement("div");
    const strong = document.createElement("strong");
    box.className = `alert ${kind}`;
    strong.textContent = title;
    content.append(strong);
    if (text) {
      const lines = document.createElement("span");
      lines.className = "lines";
      lines.textContent = text;
      content.append(lines);
    }
    box.append(content);
    result.replaceChildren(box);
  }
})();
