// Sign a run with a private key that never leaves this browser: a JWT over dag_id, run_id and conf.
"use strict";
(() => {
  const box = document.getElementById("signing");
  const form = document.getElementById("trigger-form");
  if (!box || !form) return;
  const LONGEST = 200_000; // what the server takes as check_payload
  const chooser = document.getElementById("sign-key");
  const state = document.getElementById("sign-state");
  const what = document.getElementById("sign-what");
  const payloadText = document.getElementById("sign-payload");
  const algorithms = box.dataset.algorithms.split(",").filter(Boolean);
  const trusted = box.dataset.trusted.split(" ");
  let key = null; // {algorithm, spec, handle, fingerprint}
  let isSigned = false;

  class Complaint extends Error {}

  function spec(algorithm) {
    const hash = `SHA-${algorithm.slice(2)}`;
    const bits = Number(algorithm.slice(2));
    switch (algorithm.slice(0, 2)) {
      case "RS": return { name: "RSASSA-PKCS1-v1_5", hash };
      case "PS": return { name: "RSA-PSS", hash, saltLength: bits / 8 };
      case "ES": return { name: "ECDSA", hash, namedCurve: { 256: "P-256", 384: "P-384", 512: "P-521" }[bits] };
      case "Ed": return { name: "Ed25519" };
      default: return null; // a shared secret is no file
    }
  }

  // Return the bytes of a PKCS8 file, or say how to make one.
  function keyBytes(pem) {
    const found = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/.exec(pem);
    const convert = "Convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem";
    if (!found) throw new Complaint("This is no PEM file: it must begin with -----BEGIN PRIVATE KEY-----.");
    const [, kind, body] = found;
    if (kind === "ENCRYPTED PRIVATE KEY" || body.includes("ENCRYPTED")) throw new Complaint(`This key is encrypted, and a browser can't open it. ${convert}`);
    if (kind.endsWith("PUBLIC KEY") || kind === "CERTIFICATE") throw new Complaint("This is a public key; the private one is needed to sign.");
    if (kind !== "PRIVATE KEY") throw new Complaint(`This key has an older format (${kind}) that a browser can't read. ${convert}`);
    try {
      return Uint8Array.from(atob(body.replace(/\s/g, "")), (character) => character.charCodeAt(0));
    } catch {
      throw new Complaint("This key file is damaged.");
    }
  }

  async function readKey(pem) {
    if (!window.crypto?.subtle) throw new Complaint("This browser signs on secure pages only: open Airflow by https or on localhost.");
    const bytes = keyBytes(pem);
    for (const algorithm of algorithms) {
      const wanted = spec(algorithm);
      if (!wanted) continue;
      try {
        const handle = await crypto.subtle.importKey("pkcs8", bytes, wanted, true, ["sign"]);
        return { algorithm, spec: wanted, handle, fingerprint: await fingerprint(handle, wanted) };
      } catch { /* another kind of key, or a browser without this algorithm */ }
    }
    throw new Complaint(`This key can't be used: the server takes ${algorithms.join(", ")}, and the browser must know it, too.`);
  }

  async function fingerprint(handle, wanted) {
    const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey("jwk", handle);
    const open = await crypto.subtle.importKey("jwk", JSON.parse(JSON.stringify({ kty, n, e, crv, x, y })), wanted, true, ["verify"]);
    const digest = await crypto.subtle.digest("SHA-256", await crypto.subtle.exportKey("spki", open));
    return `SHA256:${base64(new Uint8Array(digest)).replace(/=+$/, "")}`;
  }

  function base64(bytes) {
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }

  function part(bytes) {
    return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  }

  async function token(claims) {
    const encode = (value) => new TextEncoder().encode(value);
    const head = part(encode(JSON.stringify({ alg: key.algorithm, typ: "JWT" })));
    const text = `${head}.${part(encode(JSON.stringify(claims)))}`;
    const made = `${text}.${part(new Uint8Array(await crypto.subtle.sign(key.spec, key.handle, encode(text))))}`;
    if (made.length > LONGEST) throw new Complaint("This job is too long to be signed in a browser. Sign it with cwl-ui-plugin trigger, or by this server.");
    return made;
  }

  function claims(conf) {
    const times = box.dataset.lifetime ? { exp: Math.floor(Date.now() / 1000) + Number(box.dataset.lifetime) } : {};
    return { dag_id: box.dataset.dagId, run_id: form.elements.run_id.value, conf, ...times };
  }

  function tell(kind, ...content) {
    const alert = document.createElement("div");
    alert.className = `alert ${kind}`;
    const inner = document.createElement("div");
    inner.append(...content);
    alert.append(inner);
    state.replaceChildren(alert);
  }

  function mode() { return form.elements.sign_with?.value || "none"; }

  async function showPayload() {
    if (what.hidden || !what.open) return;
    try {
      const { conf, ...rest } = claims(await window.cwlJob.confText());
      payloadText.textContent = JSON.stringify({ ...rest, conf: JSON.parse(conf) }, null, 2);
    } catch (error) {
      payloadText.textContent = error.message;
    }
  }

  function show() {
    const isFile = mode() === "file";
    document.getElementById("sign-file")?.toggleAttribute("hidden", !isFile);
    what.hidden = mode() === "none";
    showPayload();
  }

  async function attempt(act) {
    try {
      return await act();
    } catch (error) {
      tell("error", error.message);
      return null;
    }
  }

  chooser?.addEventListener("change", async () => {
    key = null;
    state.replaceChildren();
    const file = chooser.files[0];
    if (!file) return;
    key = await attempt(async () => readKey(file.size < 100_000 ? await file.text() : ""));
    if (!key) return;
    const name = document.createElement("code");
    name.textContent = key.fingerprint;
    if (trusted.includes(key.fingerprint)) tell("info", "The run will be signed by ", name, ` with ${key.algorithm}.`);
    else tell("warning", "The server does not know this key, and will refuse its signature: ", name);
  });

  box.addEventListener("change", show);
  what.addEventListener("toggle", showPayload);
  form.addEventListener("change", (event) => { if (!box.contains(event.target)) showPayload(); });

  form.addEventListener("submit", async (event) => {
    if (isSigned || event.defaultPrevented) return;
    form.elements.conf.value = form.elements.check_payload.value = "";
    if (mode() !== "file") return;
    event.preventDefault();
    const done = await attempt(async () => {
      if (!key) throw new Complaint("Choose the file with your private key.");
      const conf = await window.cwlJob.confText();
      form.elements.check_payload.value = await token(claims(conf));
      form.elements.conf.value = conf;
      return true;
    });
    if (!done) {
      chooser.focus();
      return;
    }
    isSigned = true;
    form.requestSubmit(event.submitter || undefined);
    isSigned = false;
  });

  show();
})();
