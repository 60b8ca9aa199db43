// A private key that never leaves this browser, and what it signs: JSON Web Tokens (RFC 7515).
import { base64, base64url, utf8 } from "./encoding.js";

const CONVERT = "Convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem";
const CURVES = { 256: "P-256", 384: "P-384", 512: "P-521" };

// Return {algorithm, spec, handle, fingerprint} of a PEM text: the first of `algorithms` that the key is for.
export async function readKey(pem, algorithms) {
  if (!window.crypto?.subtle) {
    throw new Error("This browser signs on secure pages only: open Airflow by https or on localhost.");
  }
  const bytes = keyBytes(pem);
  for (const algorithm of algorithms) {
    const spec = specOf(algorithm);
    const handle = spec && (await imported(bytes, spec));
    if (handle) return { algorithm, spec, handle, fingerprint: await fingerprintOf(handle, spec) };
  }
  const known = algorithms.join(", ");
  throw new Error(`This key can't be used: the server takes ${known}, and the browser must know it, too.`);
}

export async function sign(key, claims) {
  const part = (value) => base64url(utf8(JSON.stringify(value)));
  const text = `${part({ alg: key.algorithm, typ: "JWT" })}.${part(claims)}`;
  const signature = await crypto.subtle.sign(key.spec, key.handle, utf8(text));
  return `${text}.${base64url(new Uint8Array(signature))}`;
}

// What Web Crypto calls an algorithm of JWA (RFC 7518), or null for one with a shared secret: that is no file.
function specOf(algorithm) {
  const bits = Number(algorithm.slice(2));
  const hash = `SHA-${bits}`;
  switch (algorithm.slice(0, 2)) {
    case "RS":
      return { name: "RSASSA-PKCS1-v1_5", hash };
    case "PS":
      return { name: "RSA-PSS", hash, saltLength: bits / 8 };
    case "ES":
      return { name: "ECDSA", hash, namedCurve: CURVES[bits] };
    case "Ed":
      return { name: "Ed25519" };
    default:
      return null;
  }
}

async function imported(bytes, spec) {
  try {
    return await crypto.subtle.importKey("pkcs8", bytes, spec, true, ["sign"]);
  } catch {
    return null; // another kind of key, or a browser without this algorithm
  }
}

// Return the bytes of a PKCS8 file, or say how to make one.
function keyBytes(pem) {
  const found = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/.exec(pem);
  if (!found) throw new Error("This is no PEM file: it must begin with -----BEGIN PRIVATE KEY-----.");
  const [, kind, body] = found;
  if (kind === "ENCRYPTED PRIVATE KEY" || body.includes("ENCRYPTED")) {
    throw new Error(`This key is encrypted, and a browser can't open it. ${CONVERT}`);
  }
  if (kind.endsWith("PUBLIC KEY") || kind === "CERTIFICATE") {
    throw new Error("This is a public key; the private one is needed to sign.");
  }
  if (kind !== "PRIVATE KEY") {
    throw new Error(`This key has an older format (${kind}) that a browser can't read. ${CONVERT}`);
  }
  return decoded(body);
}

function decoded(body) {
  try {
    return Uint8Array.from(atob(body.replace(/\s/g, "")), (character) => character.charCodeAt(0));
  } catch {
    throw new Error("This key file is damaged.");
  }
}

// SHA256 over the public key, as the server calls it.
async function fingerprintOf(handle, spec) {
  const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey("jwk", handle);
  const open = JSON.parse(JSON.stringify({ kty, n, e, crv, x, y })); // without what is undefined
  const key = await crypto.subtle.importKey("jwk", open, spec, true, ["verify"]);
  const digest = await crypto.subtle.digest("SHA-256", await crypto.subtle.exportKey("spki", key));
  return `SHA256:${base64(new Uint8Array(digest)).replace(/=+$/, "")}`;
}
