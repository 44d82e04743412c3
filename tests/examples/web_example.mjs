// Uses examples/web as people do, in headless Chromium: node web_example.mjs JOB.json
// The job names {python, serve, package, ort, classifier, altered, copied, texts, pictures}. The last line of stdout is
// what each scene saw.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { withChromium } from "./chromium.mjs";
import { drop, file, NARROW, PHONE, play, runBy, start, visit, words } from "./web_visits.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const QUERY = "my bread did not rise";
const OTHER = "onnxruntime-web";
const FILES = ["--package", job.package, "--ort", job.ort, "--classifier", job.classifier];

const serve = (...more) => start(job.python, [job.serve, "--port", "0", ...FILES, ...more]);
// It logs every request, and knows nothing of us.
const plainHost = (folder) =>
  start(job.python, ["-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder], true);

const choose = (page, name, content) => page.setInputFiles("#file", file(name, content));
const shown = (page) => page.locator("#results .text").allInnerTexts();
const said = (page, pattern) => page.locator("#state").filter({ hasText: pattern }).waitFor();
const trySample = async (page) => {
  await page.click("#sample");
  await said(page, "The first of 120 lines");
};
const ask = async (page, query) => {
  await page.fill("#query", query);
  await said(page, /nearest/);
};

const SCENES = {
  async vectors(browser, { url }) {
    return visit(browser, url, async (page) => {
      const embed = (texts) =>
        page.evaluate(async (texts) => {
          const vectors = await window.edgePotion.embed(texts);
          return Array.from(new Uint32Array(vectors.buffer));
        }, texts);
      const all = async () => ({
        bits: await embed(JSON.parse(readFileSync(job.texts, "utf8"))),
        nul: await embed(["a\0b cat", "ab cat"]),
        none: await embed([]),
      });
      const found = { isolated: await page.evaluate(() => crossOriginIsolated), "edge-potion": await all() };
      await runBy(page, OTHER);
      return { ...found, [OTHER]: await all() };
    });
  },

  async search(browser, { url }) {
    return visit(browser, url, async (page) => {
      await page.screenshot({ path: join(job.pictures, "empty.png") });
      await drop(page, "notes.txt", "Cats purr.\n\n  \r\nThe dough stayed flat.\r\nStocks fell.\n");
      await said(page, "The first of 3 lines");
      const first = { texts: await shown(page), numbers: await page.locator("#results .number").allInnerTexts() };
      await ask(page, QUERY);
      const dropped = { texts: await shown(page), name: await words(page, "#file-name") };
      await page.fill("#query", "");
      await trySample(page);
      await page.click(`#ideas >> text=${QUERY}`);
      await said(page, /nearest/);
      await page.screenshot({ path: join(job.pictures, "light.png"), fullPage: true });
      const sample = { texts: await shown(page), scores: await page.locator("#results .score").allInnerTexts() };
      const facts = (await words(page, "#facts")) + (await words(page, "#fact-query"));
      await page.fill("#query", "☃");
      await said(page, "The model knows no word of this");
      return { first, dropped, sample, facts, unknown: await shown(page) };
    });
  },

  async engines(browser, { url }) {
    return visit(browser, url, async (page, context) => {
      let asked = 0;
      context.on("request", (request) => (asked += request.url().includes("/vendor/")));
      const found = { at: [await page.inputValue("#engine")], askedBefore: asked };
      await trySample(page);
      await ask(page, QUERY);
      const results = async () => [await shown(page), await page.locator("#results .score").allInnerTexts()];
      found.first = await results();
      await runBy(page, OTHER);
      await said(page, /nearest/);
      found.second = await results();
      found.ideas = await page.locator("#ideas li").count();
      await page.click("#check");
      await page.locator("#checked[data-passed]").waitFor();
      found.checked = await words(page, "#checked");
      found.askedAfter = asked;
      found.at.push(await page.inputValue("#engine"));
      await runBy(page, "edge-potion");
      found.third = await results();
      await page.goto(`${url}?engine=${OTHER}`);
      await page.evaluate(() => window.edgePotion.ready);
      found.at.push(await page.inputValue("#engine"));
      return found;
    });
  },

  async loading(browser, { url }) {
    let come;
    const held = new Promise((resolve) => (come = resolve));
    return visit(
      browser,
      url,
      async (page) => {
        await page.screenshot({ path: join(job.pictures, "loading.png") });
        const state = await words(page, "#state");
        await choose(page, "notes.txt", "Cats purr.\nThe dough stayed flat.\nStocks fell.");
        await page.fill("#query", QUERY);
        const waits = { state: await words(page, "#state"), texts: await shown(page) };
        come();
        await said(page, /nearest/);
        return { state, waits, texts: await shown(page) };
      },
      { held },
    );
  },

  async newest(browser, { url }) {
    return visit(browser, url, async (page) => {
      await trySample(page);
      await page.evaluate((query) => {
        const box = document.getElementById("query");
        for (let end = 1; end <= query.length; end++) {
          box.value = query.slice(0, end);
          box.dispatchEvent(new Event("input"));
        }
      }, QUERY);
      await said(page, /nearest/);
      const typed = await shown(page);
      // A query that is still being answered when the box is emptied, and a file still being read when another comes.
      await page.evaluate(() => {
        const box = document.getElementById("query");
        for (const value of ["planets", ""]) {
          box.value = value;
          box.dispatchEvent(new Event("input"));
        }
      });
      await page.evaluate(() => window.edgePotion.embed(["a turn of the worker"]));
      const emptied = await words(page, "#state");
      await runBy(page, OTHER); // it takes long enough to be stopped
      const many = Array.from({ length: 20_000 }, (_, place) => `${place} ${"takes long ".repeat(40)}`).join("\n");
      await choose(page, "many.txt", many);
      await page.locator("#stop").waitFor();
      await page.locator("#progress[value]").waitFor();
      await page.screenshot({ path: join(job.pictures, "reading.png") });
      await choose(page, "few.txt", "One.\nTwo.");
      await said(page, "The first of 2 lines");
      const replaced = await shown(page);
      await choose(page, "many.txt", many);
      await page.click("#stop");
      await said(page, "The first of 2 lines");
      return { typed, emptied, replaced, stopped: await words(page, "#file-facts") };
    });
  },

  async files(browser, { url }) {
    return visit(browser, url, async (page) => {
      const error = async (name, content) => {
        await choose(page, name, content);
        await page.locator("#error", { hasText: name }).waitFor();
        return words(page, "#error");
      };
      const found = {
        empty: await error("empty.txt", ""),
        blank: await error("blank.txt", "\n \n\0\n"),
        latin: await error("latin.txt", Buffer.from("one\ntwo\ncaf\xe9\n", "latin1")),
        utf16: await error("utf16.txt", Buffer.from("\ufeffone\ntwo", "utf16le")),
        long: await error("long.txt", "a\n".repeat(1_000_001)),
        binary: await error("picture.png", Buffer.from(Array.from({ length: 4096 }, (_, place) => (place * 7) % 256))),
      };
      await trySample(page);
      found.cleared = await page.locator("#error").isHidden();
      await error("again.txt", "");
      found.kept = await words(page, "#file-facts");
      await page.evaluate(() => (window.ran = false));
      const markup = `<img src=x onerror="window.ran = true"><script>window.ran = true</script>`;
      await choose(page, "<b>.txt", `${markup}\n\ufeffa\0b\nلا شيء\n`);
      await said(page, "The first of 3 lines");
      await ask(page, "img src onerror script");
      found.markup = await shown(page);
      found.elements = await page.locator("main :is(img, script, b)").count();
      found.ran = await page.evaluate(() => window.ran);
      found.name = await words(page, "#file-name");
      return found;
    });
  },

  async keyboard(browser, { url }) {
    return visit(browser, url, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
      const press = async (...keys) => {
        for (const key of keys) await page.keyboard.press(key);
        return focused();
      };
      const path = [await press("Tab"), await press("Tab"), await press("Tab")];
      await page.keyboard.press("Enter"); // what has the focus meanwhile, hangs on how fast the lines are there
      await said(page, "The first of 120 lines");
      path.push(await focused());
      await page.keyboard.type(QUERY);
      await said(page, /nearest/);
      await page.waitForFunction((query) => document.getElementById("query").value === query, QUERY);
      path.push(await press("ArrowDown"));
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      await press("ArrowDown", "ArrowDown");
      const third = await page.evaluate(() => {
        const { activeElement } = document;
        return [...activeElement.parentNode.children].indexOf(activeElement);
      });
      await press("End", "ArrowDown");
      const last = await page.evaluate(() => document.activeElement.nextElementSibling === null);
      path.push(await press("Home", "ArrowUp"), await press("ArrowDown", "/"));
      const slash = await page.inputValue("#query");
      path.push(await press("ArrowDown", "Escape"));
      await said(page, "The first of 120 lines");
      return { path, outline, third, last, slash, escaped: await page.inputValue("#query") };
    });
  },

  async narrow(browser, { url }) {
    return visit(
      browser,
      url,
      async (page) => {
        const width = () => page.evaluate(() => document.documentElement.scrollWidth);
        const widths = [await width()];
        await choose(page, `${"a-long-name".repeat(20)}.txt`, `${"x".repeat(100_000)}\n${"word ".repeat(5000)}\nshort`);
        await said(page, "The first of 3 lines");
        widths.push(await width());
        const lengths = (await shown(page)).map((text) => text.length);
        await trySample(page);
        await ask(page, QUERY);
        await page.click("#check");
        await page.locator("#checked[data-passed]").waitFor();
        widths.push(await width());
        await page.screenshot({ path: join(job.pictures, "narrow.png"), fullPage: true });
        return { widths, lengths };
      },
      NARROW,
    );
  },

  async dark(browser, { url }) {
    return visit(
      browser,
      `${url}#check`,
      async (page) => {
        await page.locator("#checked[data-passed]").waitFor();
        await trySample(page);
        await ask(page, QUERY);
        await page.screenshot({ path: join(job.pictures, "dark.png"), fullPage: true });
        const checked = await words(page, "#checked");
        const found = await page.evaluate(() => window.edgePotion.check());
        const colors = await page.evaluate(() => {
          const { color, backgroundColor } = getComputedStyle(document.body);
          return [color, backgroundColor].map((each) => each.match(/[\d.]+/g).slice(0, 3).map(Number));
        });
        return { checked, found, colors };
      },
      { ...PHONE, colorScheme: "dark", reducedMotion: "reduce" },
    );
  },

  async offline(browser) {
    const { url, stop } = await serve();
    return visit(browser, url, async (page, context) => {
      await page.locator("#fact-offline", { hasText: "Works offline" }).waitFor();
      const addresses = await page.evaluate(async () => {
        const [name] = await caches.keys();
        return (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname.slice(1));
      });
      await runBy(page, OTHER); // which is kept from then on
      await stop();
      await context.setOffline(true);
      await page.goto(`${url}?again#check`);
      await page.reload();
      await page.evaluate(() => window.edgePotion.ready);
      await trySample(page);
      await ask(page, QUERY);
      await page.locator("#checked[data-passed]").waitFor();
      const checked = await words(page, "#checked");
      await runBy(page, OTHER);
      return { addresses, texts: await shown(page), checked, at: await page.inputValue("#engine") };
    });
  },

  async plain(browser) {
    const { url, stop } = await plainHost(job.copied);
    const worker = join(job.copied, "sw.js");
    try {
      const whole = await visit(browser, url, async (page) => {
        await trySample(page);
        await ask(page, QUERY);
        const found = { texts: await shown(page), isolated: await page.evaluate(() => crossOriginIsolated) };
        await page.locator("#fact-offline", { hasText: "Works offline" }).waitFor();
        const caches = () => page.evaluate(() => window.caches.keys());
        found.caches = [await caches()];
        writeFileSync(worker, readFileSync(worker, "utf8").replace(/VERSION = "\w+"/, 'VERSION = "another"'));
        await page.reload();
        await page.locator("#newer").waitFor();
        const reloaded = page.waitForEvent("load");
        await page.click("#renew");
        await reloaded;
        await page.evaluate(() => window.edgePotion.ready);
        found.caches.push(await caches());
        return { ...found, newer: await page.locator("#newer").isVisible() };
      });
      const without = async (name, use) => {
        const place = join(job.copied, name);
        renameSync(place, `${place}.away`);
        const seen = await visit(browser, url, use);
        renameSync(`${place}.away`, place);
        return seen;
      };
      const stopped = (name) =>
        without(name, async (page) => {
          await choose(page, "notes.txt", "One.\nTwo.");
          await page.locator("#file-note", { hasText: "Drop a text file" }).waitFor();
          if (name === "model/text_quantized.onnx") await page.screenshot({ path: join(job.pictures, "missing.png") });
          return { error: await words(page, "#error"), state: await words(page, "#state") };
        });
      // Without the other engine the page goes on with its own.
      const goesOn = (name) =>
        without(name, async (page) => {
          await runBy(page, OTHER);
          const seen = { error: await words(page, "#error"), at: await page.inputValue("#engine") };
          await trySample(page);
          await ask(page, QUERY);
          return { ...seen, texts: await shown(page) };
        });
      return {
        ...whole,
        model: await stopped("model/text_quantized.onnx"),
        engine: await stopped("edge-potion/dist/edge_potion.wasm"),
        worker: await stopped("lines.js"),
        vendor: await goesOn("vendor/ort.wasm.min.mjs"),
        glue: await goesOn("vendor/ort-wasm-simd-threaded.mjs"),
        compiled: await goesOn("vendor/ort-wasm-simd-threaded.wasm"),
      };
    } finally {
      await stop();
    }
  },

  async unable(_, { url }) {
    // Without a compiler, V8 has no WebAssembly.
    return withChromium(["--js-flags=--jitless"], (browser) =>
      visit(browser, url, async (page) => ({ error: await words(page, "#error") })),
    );
  },

  async altered(browser) {
    const { url, stop } = await serve("--bundle", job.altered);
    try {
      return await visit(browser, url, async (page) => {
        await page.click("#check");
        await page.locator("#checked[data-passed]").waitFor();
        return { checked: await words(page, "#checked") };
      });
    } finally {
      await stop();
    }
  },
};

const server = await serve();
await play(SCENES, server);
await server.stop();
