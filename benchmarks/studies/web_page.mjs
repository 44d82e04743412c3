// Visits examples/web as a browser that has not been there before: node web_page.mjs URL LINES.txt ROUNDS ENGINE...
// A line of JSON a visit: {engine, page_bytes, model_bytes, first_vector_ms, lines_per_s}.
import { withChromium } from "./chromium.mjs";

const [url, file, rounds, ...engines] = process.argv.slice(2);
const MODEL = "/model/";
const PATIENCE_MS = 120_000;

async function visit(browser, engine) {
  const context = await browser.newContext({ serviceWorkers: "block" }); // it fetches for the next visit
  context.setDefaultTimeout(PATIENCE_MS);
  try {
    const bytes = { page: 0, model: 0 };
    context.on("response", (response) => {
      const part = new URL(response.url()).pathname.startsWith(MODEL) ? "model" : "page";
      bytes[part] += Number(response.headers()["content-length"]);
    });
    await context.addInitScript(() => {
      addEventListener("DOMContentLoaded", async () => {
        await window.edgePotion.ready;
        await window.edgePotion.embed(["a cat"]);
        window.firstVector = performance.now(); // since the browser began to go to the page
      });
    });
    const page = await context.newPage();
    await page.goto(`${url}?engine=${engine}`);
    const first_vector_ms = await page.waitForFunction(() => window.firstVector).then((handle) => handle.jsonValue());
    const [page_bytes, model_bytes] = [bytes.page, bytes.model];
    await page.setInputFiles("#file", file);
    const read = page.locator("#fact-lines").filter({ hasText: "a second" });
    const [, rate] = /, ([\d,]+) a second/.exec(await read.innerText());
    return { engine, page_bytes, model_bytes, first_vector_ms, lines_per_s: Number(rate.replaceAll(",", "")) };
  } finally {
    await context.close();
  }
}

await withChromium([], async (browser) => {
  for (let round = 0; round < Number(rounds); round++) {
    for (const engine of engines) console.log(JSON.stringify(await visit(browser, engine)));
  }
});
