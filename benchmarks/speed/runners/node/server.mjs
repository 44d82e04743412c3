// Serves the page, onnxruntime-web and the model to Chromium on 127.0.0.1, and takes the vectors from it.
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname, join } from "node:path";

import { HERE, oneLine, PACKAGES } from "./job.mjs";

const LIBRARY = "/onnxruntime-web/";
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const HEADERS = {
  // Cross-origin isolation: without it there are no threads, and clocks go by 100 microseconds.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cache-Control": "no-store", // every visit is a first one
};

/** use(address of the server); readMemory() is called whenever the page asks for it. */
export async function withServer({ job, items, golden }, readMemory, use) {
  const files = {
    "/": join(HERE, "page", "index.html"),
    "/page.mjs": join(HERE, "page", "page.mjs"),
    "/measure.mjs": join(HERE, "measure.mjs"),
    "/model": job.file,
  };

  async function answer(request, response) {
    const { pathname } = new URL(request.url, "http://127.0.0.1");
    const send = (type, content) => response.writeHead(200, { ...HEADERS, "Content-Type": type }).end(content);
    if (pathname === "/work") {
      send("application/json", JSON.stringify({ job, items, golden }));
    } else if (pathname === "/memory") {
      await readMemory();
      send("text/plain");
    } else if (pathname === "/vectors") {
      await writeFile(job.vectors, Buffer.concat(await request.toArray()));
      send("text/plain");
    } else {
      const ofLibrary = join(PACKAGES, "onnxruntime-web", "dist", basename(pathname));
      const file = pathname.startsWith(LIBRARY) ? ofLibrary : files[pathname];
      if (!file) throw new Error("there is no such page");
      send(TYPES[extname(file)] ?? "application/octet-stream", await readFile(file));
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500, HEADERS).end(oneLine(error)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
