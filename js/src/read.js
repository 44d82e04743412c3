// The bytes at a place: a file in Node, elsewhere what is fetched, or was kept when it was fetched before.

const CACHE = "edge-potion";
const FILES = "node:fs/promises"; // a name that no bundler follows

/** Bytes as a Uint8Array, where they are bytes already. */
export function asBytes(given) {
  if (given instanceof ArrayBuffer) return new Uint8Array(given);
  return ArrayBuffer.isView(given) ? new Uint8Array(given.buffer, given.byteOffset, given.byteLength) : null;
}

/** {bytes, keep}: keep() puts them into the Cache API, if they are to be and are not there yet. */
export async function read(place, { cache = false, onProgress = () => {} } = {}) {
  if (typeof place !== "string" && !(place instanceof URL)) {
    throw new TypeError(`a URL, a path or bytes were expected, not ${place === null ? "null" : typeof place}`);
  }
  if (isFile(place)) return { bytes: await contentOf(place) };
  // In a private window, or where data of sites is not allowed, there is no cache to be had.
  const store = cache && typeof caches !== "undefined" ? await caches.open(CACHE).catch(() => null) : null;
  const kept = await store?.match(place).catch(() => null);
  const bytes = await bodyOf(kept ?? (await fetched(place)), place, onProgress);
  const keep = () => store.put(place, responseOf(bytes)).catch(() => {}); // the disk is full: fetched again next time
  return { bytes, keep: store && !kept ? keep : undefined };
}

function isFile(place) {
  const isNode = typeof process !== "undefined" && Boolean(process.versions?.node);
  return isNode && (place instanceof URL ? place.protocol === "file:" : !/^(?!file:)[a-z][a-z\d+.-]+:/i.test(place));
}

async function contentOf(place) {
  const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ FILES);
  return readFile(/^file:/i.test(place) ? new URL(place) : place).catch((error) => {
    throw new Error(`${place} cannot be read (${error.code ?? error.message})`, { cause: error });
  });
}

async function fetched(place) {
  const answer = await fetch(place).catch((error) => {
    throw new Error(`${place} cannot be fetched (${error.cause?.message ?? error.message})`, { cause: error });
  });
  if (!answer.ok) throw new Error(`${place} cannot be fetched (${answer.status} ${answer.statusText})`);
  return answer;
}

async function bodyOf(answer, place, onProgress) {
  const total = Number(answer.headers.get("content-length"));
  const reader = answer.body.getReader();
  const parts = [];
  let loaded = 0;
  const next = () =>
    reader.read().catch((error) => {
      throw new Error(`${place} was cut off after ${loaded} bytes (${error.message})`, { cause: error });
    });
  for (let part = await next(); !part.done; part = await next()) {
    parts.push(part.value);
    loaded += part.value.length;
    // Of what comes compressed the server tells another length.
    onProgress({ loaded, total: loaded <= total ? total : 0 });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function responseOf(bytes) {
  const headers = { "content-type": "application/octet-stream", "content-length": bytes.length };
  return new Response(bytes, { headers });
}
