// Uses the page that classifies as people do, in headless Chromium: node web_classify.mjs JOB.json
// The job names {python, serve, package, ort, classifier, texts, sentences, many, several, plain, pictures}. The last
// line of stdout is what each scene saw.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { drop, file, NARROW, PHONE, play, runBy, start, visit, words } from "./web_visits.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const OTHER = "onnxruntime-web";
const FILES = ["--package", job.package, "--ort", job.ort];
const RAIN = "will it rain in the morning?";
const FRANCE = "the capital of France is Paris";

const serve = (...more) => start(job.python, [job.serve, "--port", "0", ...FILES, "--classifier", job.classifier, ...more]);
const come = (browser, { url }, use, options) => visit(browser, `${url}classify.html`, use, options);
const picture = (page, name) => page.screenshot({ path: join(job.pictures, `classify-${name}.png`), fullPage: true });
const said = (page, pattern) => page.locator("#state").filter({ hasText: pattern }).waitFor();
const failed = (page, pattern) => page.locator("#error").filter({ hasText: pattern }).waitFor();

/** {labels, shares, given} of the bars, from the top. */
const bars = (page) =>
  page.evaluate(() => {
    const items = [...document.querySelectorAll("#labels li")];
    return {
      labels: items.map((item) => item.querySelector(".name").textContent),
      shares: items.map((item) => Number(item.querySelector(".bar").style.getPropertyValue("--share"))),
      given: items.filter((item) => item.matches("[data-given]")).map((item) => item.querySelector(".name").textContent),
    };
  });
/** Until the worker has answered what was asked before: the first of these may overtake it, the second comes after. */
const settled = async (page) => {
  for (let turn = 0; turn < 2; turn++) await page.evaluate(() => window.edgePotion.classify(["a turn of the worker"]));
};
const type = async (page, text, answer) => {
  await page.fill("#text", "");
  await said(page, "Type, and the bars move.");
  await page.locator("#text").pressSequentially(text);
  await settled(page);
  await said(page, answer);
  return { ...(await bars(page)), state: await words(page, "#state") };
};

const SCENES = {
  async agreement(browser, server) {
    return come(browser, server, async (page) => {
      const texts = JSON.parse(readFileSync(job.texts, "utf8"));
      const all = () =>
        page.evaluate(async (texts) => {
          const found = await window.edgePotion.classify(texts);
          return found.map(({ label, probabilities }) => ({ label, probabilities: [...probabilities] }));
        }, texts);
      const found = { "edge-potion": await all() };
      await runBy(page, OTHER);
      return { ...found, [OTHER]: await all() };
    });
  },

  async typing(browser, server) {
    return come(browser, server, async (page) => {
      const empty = await bars(page);
      const opened = await words(page, "#file-facts");
      await picture(page, "empty");
      const rain = await type(page, RAIN, "weather");
      const time = await words(page, "#fact-text");
      await page.waitForTimeout(300); // until the bars are where they go
      await picture(page, "light");
      const france = await type(page, FRANCE, "None of these");
      const least = await words(page, "#least");
      const ideas = [];
      for (const idea of await page.locator("#ideas button").all()) {
        await idea.click();
        await settled(page);
        ideas.push(await words(page, "#state"));
      }
      await runBy(page, OTHER);
      const other = await type(page, RAIN, "weather");
      return { empty, opened, rain, time, france, least, ideas, other, facts: await words(page, "#facts") };
    });
  },

  async sentences(browser, server) {
    return come(browser, server, async (page) => {
      const found = [];
      for (const [text, label] of JSON.parse(readFileSync(job.sentences, "utf8"))) {
        const { labels, shares } = await type(page, text, new RegExp(`${label}|None of these`)); // where it is not sure
        found.push(labels[shares.indexOf(Math.max(...shares))]);
      }
      return { found };
    });
  },

  async newest(browser, server) {
    return come(browser, server, async (page) => {
      await page.evaluate(
        (texts) => {
          const box = document.getElementById("text");
          for (const text of texts) {
            box.value = text;
            box.dispatchEvent(new Event("input"));
          }
        },
        ["play some jazz", "tell me a joke", RAIN],
      );
      await settled(page);
      const typed = await bars(page);
      await page.evaluate(() => {
        const box = document.getElementById("text");
        for (const text of ["play some jazz", ""]) {
          box.value = text;
          box.dispatchEvent(new Event("input"));
        }
      });
      await settled(page);
      return { typed, emptied: await bars(page) };
    });
  },

  async own(browser, server) {
    return come(browser, server, async (page) => {
      await page.fill("#text", RAIN);
      await said(page, "weather");
      await drop(page, "notes.onnx", "This is no model.");
      await failed(page, "notes.onnx");
      const found = { junk: await words(page, "#error") };
      await page.setInputFiles("#file", job.plain);
      await failed(page, "gives no labels");
      found.plain = await words(page, "#error");
      found.kept = { ...(await bars(page)), name: await words(page, "#file-name"), state: await words(page, "#state") };
      await page.setInputFiles("#file", job.many);
      await page.locator("#file-note", { hasText: "40 labels" }).waitFor();
      found.cleared = await page.locator("#error").isHidden();
      await said(page, "rain");
      found.many = { ...(await bars(page)), name: await words(page, "#file-name") };
      found.ideas = await page.locator("#ideas").isHidden();
      found.least = await page.locator("#least").isHidden();
      found.elements = await page.locator("#labels :is(b, img)").count();
      await page.setInputFiles("#file", job.several);
      await page.locator("#file-note", { hasText: "3 labels, any number of them a text" }).waitFor();
      await page.fill("#text", "rain and bread");
      await settled(page);
      found.several = await bars(page);
      await runBy(page, OTHER); // the same file, by the other engine
      await settled(page);
      found.other = { ...(await bars(page)), name: await words(page, "#file-name") };
      await page.setInputFiles("#file", file("notes.onnx", "This is no model."));
      await failed(page, "notes.onnx");
      found.refused = await words(page, "#error");
      return found;
    });
  },

  async keyboard(browser, server) {
    return come(browser, server, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
      const press = async (key) => {
        await page.keyboard.press(key);
        return focused();
      };
      const path = [await press("Tab"), await press("Tab"), await press("Tab")];
      await page.keyboard.type("turn it on / off");
      const typed = await page.inputValue("#text");
      path.push(await press("Tab")); // the first of the texts to try
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      await press("Enter");
      await said(page, "weather");
      path.push(await press("/"));
      const slash = await page.inputValue("#text");
      path.push(await press("Escape"));
      const roles = await page.locator("#state").getAttribute("role");
      const named = await page.getByRole("list", { name: "Labels, and how likely each is" }).count();
      const box = await page.getByRole("textbox", { name: "Text to classify" }).count();
      return { path, typed, outline, slash, escaped: await page.inputValue("#text"), roles, named, box };
    });
  },

  async narrow(browser, server) {
    return come(
      browser,
      server,
      async (page) => {
        const width = () => page.evaluate(() => document.documentElement.scrollWidth);
        const widths = [await width()];
        await type(page, RAIN, "weather");
        widths.push(await width());
        await picture(page, "narrow");
        await page.setInputFiles("#file", job.many);
        await page.locator("#file-note", { hasText: "40 labels" }).waitFor();
        widths.push(await width());
        await picture(page, "many");
        return { widths };
      },
      NARROW,
    );
  },

  async dark(browser, server) {
    return come(
      browser,
      server,
      async (page) => {
        await type(page, RAIN, "weather");
        await picture(page, "dark");
        const moves = await page.evaluate(
          () => getComputedStyle(document.querySelector("#labels .bar")).transitionDuration,
        );
        const colors = await page.evaluate(() => {
          const given = getComputedStyle(document.querySelector("#labels [data-given]"));
          return [given.color, given.backgroundColor].map((each) => each.match(/[\d.]+/g).slice(0, 3).map(Number));
        });
        return { moves, colors };
      },
      { ...PHONE, colorScheme: "dark", reducedMotion: "reduce" },
    );
  },

  async offline(browser) {
    const { url, stop } = await serve();
    return come(browser, { url }, async (page, context) => {
      const kept = () => page.locator("#fact-offline", { hasText: "Works offline" }).waitFor();
      await kept();
      const searched = page.waitForEvent("load");
      await page.click("nav a"); // each page keeps its own model
      await searched;
      await kept();
      await stop();
      await context.setOffline(true);
      await page.goto(`${url}classify.html?again`);
      await page.reload();
      await page.evaluate(() => window.edgePotion.ready);
      const { state } = await type(page, RAIN, "weather");
      const follow = async () => {
        await Promise.all([page.waitForEvent("load"), page.click("nav a")]);
        await page.evaluate(() => window.edgePotion.ready);
        return page.title();
      };
      return { state, titles: [await follow(), await follow()] };
    });
  },

  async missing(browser) {
    // Without the packages of this Python there is no edge-potion, and so no demo.
    const { url, stop } = await start(job.python, ["-S", job.serve, "--port", "0", ...FILES], true);
    const found = await come(browser, { url }, async (page) => {
      const before = { error: await words(page, "#error"), state: await words(page, "#state") };
      await picture(page, "missing");
      await page.setInputFiles("#file", join(job.classifier, "onnx", "text_quantized.onnx"));
      await page.locator("#file-note", { hasText: "13 labels" }).waitFor();
      return { ...before, after: (await type(page, RAIN, "weather")).state };
    });
    await stop();
    return found;
  },
};

const server = await serve();
await play(SCENES, server);
await server.stop();
