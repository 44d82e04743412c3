// The service worker: keeps every file of the page in a cache of this version, and answers from it first. The other
// engine is large, and kept once it has been asked for.

// serve.py writes a digest of all files here. Without it, change this by hand whenever a file changes.
const VERSION = "by hand: 1";
const OURS = `${self.registration.scope} `; // a page elsewhere on this host has caches, too
const CACHE = `${OURS}${VERSION}`;
const OTHER_ENGINE = `${self.registration.scope}vendor/`;
const FILES = [
  ...["./", "app.js", "check.js", "engine.js", "errors.js", "lines.js", "model.js", "offline.js", "onnxruntime.js"],
  ...["results.js", "worker.js", "style.css", "icon.svg", "manifest.webmanifest", "sample.txt"],
  ...["edge-potion/src/check.js", "edge-potion/src/compile.js", "edge-potion/src/engine.js"],
  ...["edge-potion/src/index.js", "edge-potion/src/read.js", "edge-potion/src/start_worker.js"],
  ...["edge-potion/src/worker.js", "edge-potion/dist/edge_potion.wasm"],
  ...["model/text_quantized.onnx", "model/golden.json"],
];

async function keep() {
  const cache = await caches.open(CACHE);
  // The browser's own cache may hold files of another version; the server is asked whether they are the same.
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim(); // so that the page that brought this worker has the rest of its files from it, too
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
  if (kept) return kept;
  const fetched = await fetch(request);
  if (fetched.ok && request.url.startsWith(OTHER_ENGINE)) await cache.put(request, fetched.clone());
  return fetched;
}

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", () => self.skipWaiting());
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
