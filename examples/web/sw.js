// The service worker: keeps every file of the pages in a cache of this version, and answers from it first. Models and
// the other engine are large, and kept once they have been asked for.

// serve.py writes a digest of all files here. Without it, change this by hand whenever a file changes.
const VERSION = "by hand: 1";
const OURS = `${self.registration.scope} `; // a page elsewhere on this host has caches, too
const CACHE = `${OURS}${VERSION}`;
const ON_DEMAND = ["model/", "classifier/", "vendor/"].map((folder) => self.registration.scope + folder);
const FILES = [
  ...["./", "app.js", "calls.js", "check.js", "engine.js", "errors.js", "gestures.js", "ideas.js", "lines.js"],
  ...["metadata.js", "model.js", "offline.js", "onnxruntime.js", "results.js", "worker.js"],
  ...["classify.html", "classify.js", "classify_worker.js", "bars.js"],
  ...["style.css", "icon.svg", "manifest.webmanifest", "sample.txt"],
  ...["edge-potion/src/check.js", "edge-potion/src/compile.js", "edge-potion/src/engine.js"],
  ...["edge-potion/src/index.js", "edge-potion/src/read.js", "edge-potion/src/start_worker.js"],
  ...["edge-potion/src/worker.js", "edge-potion/dist/edge_potion.wasm"],
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
  const match = (wanted) => cache.match(wanted, { ignoreSearch: true });
  const kept = (await match(request)) ?? (request.mode === "navigate" ? await match("./") : null);
  if (kept) return kept;
  const fetched = await fetch(request);
  if (fetched.ok && ON_DEMAND.some((folder) => request.url.startsWith(folder))) await cache.put(request, fetched.clone());
  return fetched;
}

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", () => self.skipWaiting());
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
