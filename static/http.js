// All that pages ask the server for. What fails is an HttpError, whose message is for people.
import { pause } from "./dom.js";

const FROM_SCRIPT = { "X-Requested-With": "XMLHttpRequest" }; // then errors are answered as JSON, not as pages
const TRIES = 3;
const FIRST_PAUSE_MS = 300;
const MAY_PASS = [502, 503, 504];

export class HttpError extends Error {
  constructor(message, status = 0, data = null) {
    super(message);
    this.status = status; // 0: there was no answer
    this.data = data;
  }

  get isUnreachable() {
    return this.status === 0;
  }

  get mayPass() {
    return this.isUnreachable || MAY_PASS.includes(this.status);
  }

  // What is wrong, a text for each problem.
  get problems() {
    return this.data?.problems ?? [];
  }
}

export const getJson = async (url, tries = TRIES) => (await get(url, tries)).json();
export const getText = async (url) => (await get(url, TRIES)).text();

// Look once for what is new: {tag, data}, or null where `tag` is still that of what is there.
export async function getNews(url, tag) {
  const answer = await ask(url, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
  if (answer.status === 304) return null;
  return { tag: answer.headers.get("ETag"), data: await answer.json() };
}

// Send the fields of a form, among which is its CSRF token. It is never sent twice: it may have arrived.
export async function postForm(url, fields) {
  if (!fields.has("csrf_token")) throw new TypeError(`A form without a CSRF token can't be sent to ${url}`);
  const answer = await ask(url, { method: "POST", body: fields });
  try {
    return await answer.json();
  } catch {
    throw new HttpError("The server did not understand this. Reload the page.", answer.status);
  }
}

// Send a large body, and tell `onProgress` how many bytes of how many are on their way; `signal` breaks it off. To
// another server goes nothing but the body.
export function send(method, url, body, { onProgress, signal, headers = {}, isElsewhere = false } = {}) {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(new Error("Cancelled."));
    if (signal?.aborted) {
      cancel();
      return;
    }
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "json";
    const sent = isElsewhere ? {} : { ...FROM_SCRIPT, ...headers };
    for (const [name, value] of Object.entries(sent)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded, event.total);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(refused(request.status, request.response));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = cancel;
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

async function get(url, tries) {
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await ask(url, {});
    } catch (error) {
      if (!left || !error.mayPass) throw error;
      await pause(FIRST_PAUSE_MS * 3 ** (tries - 1 - left));
    }
  }
}

async function ask(url, options) {
  let answer;
  try {
    answer = await fetch(url, { ...options, headers: { ...FROM_SCRIPT, ...options.headers } });
  } catch {
    throw unreachable();
  }
  if (answer.ok || answer.status === 304) return answer;
  throw refused(answer.status, await answer.json().catch(() => null));
}

function unreachable() {
  return new HttpError("The server can't be reached. Try again.");
}

function refused(status, data) {
  const said = data?.detail || data?.message;
  return new HttpError(typeof said === "string" ? said : `The server answered with ${status}.`, status, data);
}
