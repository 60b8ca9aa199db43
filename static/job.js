// The job as a form and as text, kept the same: the server turns one into the other, so that both mean the same job.
"use strict";
(() => {
  const form = document.getElementById("trigger-form");
  if (!form) return;
  const fields = document.getElementById("job-fields");
  const text = form.elements.job;
  const message = document.getElementById("job-message");
  const link = document.getElementById("job-link");
  const LONG = 100_000; // browsers may send any file, but servers bound other fields
  let shown = form.elements.source.value;
  let lastConf = null; // what the text says, as long as nobody edits it
  let switching = null; // the way from one tab to the other, while the server is asked

  function tell(problem) {
    message.hidden = !problem;
    message.textContent = problem || "";
  }

  function file(name, content) { return new File([content], name, { type: "text/plain" }); }

  // Whenever the form is sent, by whatever means: the fields of the job go as one file.
  form.addEventListener("formdata", ({ formData }) => {
    const pairs = [...formData].filter(([name, value]) => name.startsWith("in-") && typeof value === "string");
    for (const [name] of pairs) formData.delete(name);
    formData.set("fields", file("fields.json", JSON.stringify(pairs)));
    for (const name of ["job", "conf"]) {
      const value = form.elements[name].value;
      if (value.length > LONG) formData.set(name, file(name, value));
    }
  });

  // Return the job that the page holds: as text, as fields, as conf.
  async function convert(source) {
    const data = new FormData(form);
    data.set("source", source);
    data.delete("job_file");
    data.delete("conf");
    let answer;
    try {
      answer = await fetch(form.dataset.convert, { method: "POST", body: data, headers: { "X-Requested-With": "XMLHttpRequest" } });
    } catch {
      throw new Error("The server can't be reached. Try again.");
    }
    const found = await answer.json().catch(() => ({ detail: "The server did not understand this. Reload the page." }));
    if (!answer.ok) throw new Error([found.detail, ...(found.problems || [])].join("\n"));
    return found;
  }

  function choose(source) {
    form.elements.source.value = source;
    shown = source;
  }

  async function attempt(act) {
    tell("");
    try {
      await act();
      return true;
    } catch (error) {
      tell(error.message);
      return false;
    }
  }

  // What somebody types while the server is asked is newer than its answer.
  async function toText() {
    const before = text.value;
    const same = await convert("form");
    const isNewer = text.value !== before;
    if (!isNewer && same.conf !== lastConf) text.value = same.text;
    lastConf = isNewer ? null : same.conf;
  }

  async function toForm() {
    fields.inert = true;
    try {
      const same = await convert("text");
      fields.innerHTML = same.html;
      lastConf = same.conf;
    } finally {
      fields.inert = false;
    }
  }

  form.addEventListener("change", async (event) => {
    if (event.target.name !== "source" || event.target.value === shown) return;
    const before = shown;
    shown = event.target.value;
    switching = attempt(shown === "text" ? toText : toForm);
    if (!(await switching)) choose(before);
    switching = null;
  });

  const imported = form.elements.job_file;
  imported.closest(".field").classList.add("imported");
  document.getElementById("job-import").addEventListener("click", () => imported.click());
  imported.addEventListener("change", async () => {
    const chosen = imported.files[0];
    if (!chosen) return;
    text.value = await chosen.text();
    imported.value = "";
    if (!(await attempt(toForm))) choose("text");
  });

  document.getElementById("job-download").addEventListener("click", () => attempt(async () => {
    const content = shown === "text" ? text.value : (await convert("form")).text;
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([content], { type: "application/yaml" }));
    anchor.download = `${form.dataset.name}-job.yml`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
  }));

  document.getElementById("job-share").addEventListener("click", () => attempt(async () => {
    const bytes = new TextEncoder().encode((await convert(shown)).shared);
    const encoded = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    if (encoded.length > Number(form.dataset.longestLink)) throw new Error("This job is too long for a link. Download it and send the file.");
    const shownLink = document.getElementById("job-link-text");
    shownLink.value = `${form.action}?job=${encoded}`;
    link.hidden = false;
    shownLink.select();
    await navigator.clipboard?.writeText(shownLink.value).catch(() => { /* it is selected: the user can copy it */ });
  }));

  form.addEventListener("submit", (event) => {
    if (switching) {
      event.preventDefault();
      switching.then((isDone) => { if (isDone) setTimeout(() => form.requestSubmit()); });
      return;
    }
    if (!form.querySelector("[data-progress]:not([hidden])[data-busy]")) return;
    event.preventDefault();
    tell("An upload is still on its way. Wait for it, or cancel it.");
  });

  document.getElementById("job-problems")?.focus();

  // The exact text of the conf that is to be run, for the script that signs it; rejects where the job can't be read.
  window.cwlJob = {
    confText: async () => {
      await switching;
      return (await convert(shown)).conf;
    },
  };
})();
