// The page of a batch: kept up to date while it goes on; two samples chosen to compare; stopped, and that proven.
import { alertOf, byId, element } from "./dom.js";
import { getNews, postForm } from "./http.js";
import { morph } from "./morph.js";
import { chooseTwo } from "./pair_choice.js";
import { Polling } from "./polling.js";

const FIRST_MS = 2000;
const MAX_PAUSE_MS = 15000;

function follow(page, choose) {
  const { dataset } = page;
  let tag = null;
  const look = async () => {
    const changed = await getNews(`${dataset.url}${location.search}`, tag);
    if (!changed) return false;
    tag = changed.tag;
    const { parts, ended } = changed.data;
    for (const [name, html] of Object.entries(parts)) morph(byId(`batch-${name}`), html);
    dataset.ended = ended ? "yes" : "no";
    choose();
    return true;
  };
  return new Polling(look, { first: FIRST_MS, most: () => MAX_PAUSE_MS, isOver: () => dataset.ended === "yes" });
}

// --- stopping

async function stop(form, news) {
  const said = byId("batch-said");
  form.closest("dialog").close();
  said.replaceChildren(
    alertOf("info", element("strong", "Stopping the batch: every run of it is ended, and that is proven…")),
  );
  said.focus();
  setTimeout(() => news.now());
  try {
    const { stopped } = await postForm(form.action, new FormData(form));
    const what = stopped === 1 ? "1 sample was" : `${stopped} samples were`;
    const text = stopped
      ? `Stopped: ${what} on the way, and nothing of them runs any more.`
      : "Nothing was on its way any more.";
    said.replaceChildren(alertOf("success", element("strong", text)));
  } catch (error) {
    const left = error.problems ?? [];
    const list = element("ul");
    list.append(...left.map((line) => element("li", line)));
    const more = error.isUnreachable ? " The stop goes on; look at the page again." : "";
    said.replaceChildren(alertOf("error", element("strong", error.message + more), ...(left.length ? [list] : [])));
  }
  news.now();
}

const page = byId("batch");
if (page) {
  const choose = chooseTwo((count) =>
    count === 2 ? "" : `Choose two samples to compare${count ? `: ${count} chosen` : ""}.`,
  );
  const news = follow(page, choose);
  news.begin();
  byId("stop-batch-form").addEventListener("submit", (event) => {
    event.preventDefault();
    stop(event.target, news);
  });
}
