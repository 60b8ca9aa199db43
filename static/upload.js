// Upload with progress: of the transfer, then of what the server does with it. Without this the form works, too.
"use strict";
(() => {
  const form = document.getElementById("upload-form");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = document.getElementById("drop");
  const status = document.getElementById("upload-status");
  const message = document.getElementById("upload-message");
  const bar = document.getElementById("upload-progress");
  const errors = document.getElementById("upload-errors");
  const button = form.querySelector("button[type=submit]");
  const POLL_MS = 400;

  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); send(); });

  function send() {
    working("Sending…");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) { bar.max = event.total; bar.value = event.loaded; }
    };
    request.onload = () => (request.status === 202 ? follow(request.response) : failed(request.response));
    request.onerror = () => failed({ detail: "The server can't be reached. Try again." });
    request.send(new FormData(form));
  }

  async function follow(upload) {
    while (upload.state !== "done" && upload.state !== "failed") {
      working(`${upload.message}…`);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      try {
        const answer = await fetch(upload.url, { headers: { "X-Requested-With": "XMLHttpRequest" } });
        upload = await answer.json();
      } catch {
        failed({ detail: "The server can't be reached. The upload may still end well: look at the list." });
        return;
      }
    }
    if (upload.state === "done") location.assign(upload.workflow);
    else failed({ detail: upload.message, problems: upload.problems });
  }

  function working(text) {
    errors.hidden = true;
    status.hidden = false;
    button.disabled = true;
    message.textContent = text;
    bar.removeAttribute("value");
  }

  function failed(data) {
    status.hidden = true;
    button.disabled = false;
    errors.querySelector("strong").textContent = (data && data.detail) || "The upload failed.";
    const list = errors.querySelector("ul");
    list.replaceChildren(...((data && data.problems) || []).map((problem) => {
      const item = document.createElement("li");
      const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined && part !== null);
      item.textContent = [place.join(":"), problem.message].filter(Boolean).join(": ");
      return item;
    }));
    errors.hidden = false;
  }
})();
