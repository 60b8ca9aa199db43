// Bytes and texts as base64.
export function base64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

// As addresses and JSON Web Tokens have it (RFC 4648, section 5, without padding).
export function base64url(bytes) {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export const utf8 = (text) => new TextEncoder().encode(text);
