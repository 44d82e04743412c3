// Takes a picture of a page, and refuses one that needs more than itself:
// node screenshot.mjs FILE_OR_URL OUT.png [--width 390] [--height 844] [--dark] [--offline]
// Prints {title, width, scroll_width, text}. --offline: as a device without a network sees the page.
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { ABSENT, findChromium, withChromium } from "./chromium.mjs";
import { oneLine } from "./job.mjs";

const OPTIONS = {
  width: { type: "string", default: "1280" },
  height: { type: "string", default: "800" },
  dark: { type: "boolean", default: false },
  offline: { type: "boolean", default: false },
};

/** {seen: what is printed, faults: a line for each thing the page should not do}. */
async function look(words) {
  const { values: options, positionals } = parseArgs({ args: words, allowPositionals: true, options: OPTIONS });
  const [place, picture] = positionals;
  if (!picture) throw new Error("name a page and a picture: node screenshot.mjs FILE_OR_URL OUT.png");
  if (!findChromium()) throw new Error(ABSENT);
  if (!existsSync(place) && !URL.canParse(place)) throw new Error(`${place} is neither a file nor a URL`);
  const address = existsSync(place) ? pathToFileURL(place) : new URL(place);
  // A file is all there is of its page; what a server sends may come in parts.
  const part = address.protocol === "file:" ? "pathname" : "origin";
  const own = (url) => url[part] === address[part];

  return withChromium([], async (browser) => {
    const context = await browser.newContext({
      viewport: { width: Number(options.width), height: Number(options.height) },
      colorScheme: options.dark ? "dark" : "light",
      offline: options.offline,
      serviceWorkers: "block", // their requests would not come by here
    });
    const foreign = [];
    const faults = [];
    await context.route(
      (url) => !own(url),
      (route) => {
        foreign.push(route.request().url());
        return route.abort();
      },
    );
    await context.routeWebSocket(
      (url) => !own(url),
      (socket) => {
        foreign.push(socket.url());
        return socket.close();
      },
    );
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(`script error: ${oneLine(error)}`));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(`console error: ${oneLine(message.text())}`);
    });
    await page.goto(address.href, { waitUntil: "networkidle" });
    const seen = await page.evaluate(() => ({
      title: document.title,
      width: innerWidth,
      scroll_width: document.documentElement.scrollWidth,
      text: document.body.innerText,
    }));
    await page.screenshot({ path: picture, fullPage: true });
    if (foreign.length) faults.push(`${foreign.length} requests beyond the page: ${foreign.join(" ")}`);
    return { seen, faults };
  });
}

const { seen, faults } = await look(process.argv.slice(2)).catch((error) => ({ faults: [oneLine(error)] }));
if (seen) console.log(JSON.stringify(seen));
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
