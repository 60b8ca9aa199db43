// Show an imported job file in the text field, so that it can be read and changed before the run starts.
"use strict";
(() => {
  const input = document.querySelector("input[type=file][name=job_file]");
  const job = document.querySelector("textarea[name=job]");
  if (!input || !job) return;
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    job.value = await file.text();
    input.value = "";
    job.focus();
  });
})();
