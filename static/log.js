// Follow what a running command prints. Asking slows down while it prints nothing, and rests unseen.
"use strict";
(() => {
  const FIRST_MS = 1000;
  const LONGEST_MS = 15000;
  const MOST_CHARACTERS = 262144;
  const script = { "X-Requested-With": "XMLHttpRequest" };

  function follow(box) {
    const empty = box.parentElement.querySelector(".log-empty");
    let pause = FIRST_MS;
    let timer = null;
    let end = Number(box.dataset.end);

    async function look() {
      try {
        const answer = await fetch(`${box.dataset.log}&offset=${end}`, { headers: script, cache: "no-store" });
        if (answer.ok) show(await answer.json());
      } catch { /* the server is away: the next look may find it */ }
      schedule();
    }

    function show(part) {
      if (!part.text) return;
      const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
      const text = box.textContent + part.text;
      box.textContent = text.slice(-MOST_CHARACTERS);
      empty.hidden = true;
      end = part.end;
      pause = part.end < part.size ? 0 : FIRST_MS;
      if (isAtEnd) box.scrollTop = box.scrollHeight;
    }

    function schedule() {
      clearTimeout(timer);
      if (document.hidden) return;
      timer = setTimeout(look, pause);
      pause = Math.min(Math.max(pause, FIRST_MS) * 1.3, LONGEST_MS);
    }

    document.addEventListener("visibilitychange", () => { pause = FIRST_MS; schedule(); });
    schedule();
  }

  for (const box of document.querySelectorAll("pre.log")) box.scrollTop = box.scrollHeight;
  document.querySelectorAll("pre[data-log]").forEach(follow);
})();
