// Uses the npm package in a built site, in headless Chromium: node in_chromium.mjs URL URL_WITHOUT_WORKER TEXTS.json
// The last line of stdout is what each scene saw.
import { readFileSync } from "node:fs";

import { withChromium } from "./chromium.mjs";

const [url, workerless, file] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(file, "utf8"));

/** use(page) in a context of its own, or in the one that is given. */
async function visit(browser, address, use, given) {
  const context = given ?? (await browser.newContext());
  const page = await context.newPage();
  try {
    await page.goto(address);
    await page.waitForFunction(() => window.load);
    return await use(page);
  } finally {
    await (given ? page : context).close();
  }
}

const embedded = (worker) => (page) =>
  page
    .evaluate(
      async ({ texts, worker }) => {
        const model = await load("/model.onnx", { worker });
        const vectors = await model.embed(texts);
        const bits = vectors.flatMap((vector) => [...new Uint32Array(Float32Array.from(vector).buffer)]);
        const some = texts.slice(0, 20);
        const together = (await Promise.all(some.map((text) => model.embed(text)))).map((vector) => [...vector]);
        const apart = vectors.slice(0, 20).map((vector) => [...vector]);
        const checked = await model.check("/golden.json");
        const facts = [model.dim, model.maxTokens];
        window.model = model;
        return { bits, together, apart, checked, facts };
      },
      { texts, worker },
    )
    .then(async (found) => {
      const workers = page.workers().length;
      const closed = await page.evaluate(async () => {
        model.close();
        return model.embed("a").then(() => null, (error) => error.message);
      });
      return { ...found, workers, closed };
    });

const SCENES = {
  page: (browser) => visit(browser, url, embedded(false)),
  worker: (browser) => visit(browser, url, embedded(true)),

  async cache(browser) {
    const context = await browser.newContext();
    const loaded = (options) =>
      visit(
        browser,
        url,
        async (page) => {
          let fetched = 0;
          page.on("request", (request) => (fetched += request.url().endsWith("model.onnx")));
          const seen = await page.evaluate(async (options) => {
            let progress = {};
            const model = await load("/model.onnx", { ...options, onProgress: (told) => (progress = told) });
            await load("/broken.onnx").catch(() => {});
            // The page goes on without waiting for what is being kept.
            const isKept = async () => options.cache === false || Boolean(await caches.match("/model.onnx"));
            while (!(await isKept())) await new Promise((next) => setTimeout(next, 20));
            return { ...progress, vector: [...(await model.embed("a cat"))] };
          }, options);
          return { ...seen, fetched };
        },
        context,
      );
    const { vector, ...first } = await loaded({});
    const { vector: again, ...second } = await loaded({});
    const without = await loaded({ cache: false });
    const kept = await visit(
      browser,
      url,
      (page) =>
        page.evaluate(async () => {
          const [name] = await caches.keys();
          return (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname);
        }),
      context,
    );
    await context.close();
    return { first, second, without, kept, same: JSON.stringify(vector) === JSON.stringify(again) };
  },

  async wrong(browser) {
    const said = (address, ...words) =>
      visit(browser, address, (page) =>
        page.evaluate((words) => load(...words).then(() => null, (error) => error.message), words),
      );
    return {
      missing: await said(url, "/nowhere.onnx"),
      broken: await said(url, "/broken.onnx"),
      brokenInWorker: await said(url, "/broken.onnx", { worker: true }),
      page: await said(url, "/model.onnx", { wasm: "/index.html" }),
      workerless: await said(workerless, "/model.onnx", { worker: true }),
    };
  },
};

const seen = {};
await withChromium([], async (browser) => {
  for (const [name, scene] of Object.entries(SCENES)) seen[name] = await scene(browser);
});
console.log(JSON.stringify(seen));
