// What the tests of examples/web share: servers, visits in headless Chromium, files that are dropped, scenes.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { withChromium } from "./chromium.mjs";

const WINDOW = { width: 1100, height: 800 };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
export const NARROW = { ...PHONE, viewport: { width: 320, height: 640 } };
const servers = new Set();

/** {url, stop} of a Python program that tells its address on the first line of stdout. */
export async function start(python, words, quiet = false) {
  const server = spawn(python, ["-u", ...words], { stdio: ["ignore", "pipe", quiet ? "ignore" : "inherit"] });
  servers.add(server);
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const stop = () => {
    servers.delete(server);
    server.kill();
    return ended;
  };
  for await (const line of createInterface(server.stdout)) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+\//.exec(line) ?? [];
    if (url) return { url, stop };
  }
  throw new Error(`${words.join(" ")} did not start`);
}

/**
 * use(page) with a context of its own; {...what it gives, faults: what a good page never does}.
 * The model comes when `held` resolves; use does not wait for it then.
 */
export async function visit(browser, url, use, { held, ...options } = {}) {
  const context = await browser.newContext({ viewport: WINDOW, ...options });
  context.setDefaultTimeout(15_000);
  const faults = [];
  context.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== "blob:" && asked.origin !== new URL(url).origin) faults.push(`asked for ${asked}`);
  });
  context.on("weberror", (error) => faults.push(String(error.error())));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
  });
  try {
    const page = await context.newPage();
    if (held) await page.route("**/*.onnx", (route) => held.then(() => route.continue()));
    await page.goto(url);
    if (!held) await page.evaluate(() => window.edgePotion.ready);
    return { ...(await use(page, context)), faults };
  } finally {
    await context.close();
  }
}

export const file = (name, content) => ({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
export const words = (page, place) => page.locator(place).innerText();
export const runBy = async (page, engine) => {
  await page.selectOption("#engine", engine);
  await page.locator("#engine:enabled").waitFor();
};

/** Drops a file on the page, as from a file manager. */
export async function drop(page, name, content) {
  const data = await page.evaluateHandle(
    ([name, content]) => {
      const data = new DataTransfer();
      data.items.add(new File([content], name));
      return data;
    },
    [name, content],
  );
  for (const type of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("body", type, { dataTransfer: data });
}

/** Plays scenes, {name: scene(browser, server)}, in one Chromium; the last line of stdout is what each saw. */
export async function play(scenes, server) {
  const seen = {};
  await withChromium([], async (browser) => {
    const left = Object.entries(scenes);
    // Two at a time: a scene waits more than it works.
    const next = async () => {
      for (let one = left.shift(); one; one = left.shift()) {
        const [name, scene] = one;
        seen[name] = await scene(browser, server).catch((error) => ({ failed: error.stack }));
      }
    };
    await Promise.all([next(), next()]);
  });
  console.log(JSON.stringify(seen));
}

process.on("exit", () => servers.forEach((server) => server.kill()));
