// Finds Chromium and opens it, headless, with a profile of its own that is gone afterwards.
import { accessSync, constants as modes, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export const ABSENT = "Chromium is not installed: make browser, or set EDGE_POTION_CHROMIUM";
const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"];

const runs = (file) => {
  try {
    accessSync(file, modes.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Chromium's path, or null: $EDGE_POTION_CHROMIUM and no other where it is set, else the first on the PATH. */
export function findChromium() {
  const named = process.env.EDGE_POTION_CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const files = named ? [named] : NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find(runs) ?? null;
}

/** use(browser); whatever happens, a signal too, Chromium is closed and its files are gone. */
export async function withChromium(flags, use) {
  const { chromium } = await import("playwright-core");
  // Chromium leaves sockets in its temporary folder; the profile is Playwright's, which removes it.
  const folder = mkdtempSync(join(tmpdir(), "edge-potion-chromium-"));
  const launched = chromium.launch({
    executablePath: findChromium(),
    args: flags, // beside Playwright's, which turn off updates, sync and other background traffic
    env: { ...process.env, TMPDIR: folder },
    chromiumSandbox: process.getuid?.() !== 0, // as root Chromium starts only without it
    // On a signal Playwright forgets a Chromium that is just starting.
    ...{ handleSIGHUP: false, handleSIGINT: false, handleSIGTERM: false },
  });
  const close = async () => {
    const browser = await launched.catch(() => null);
    await browser?.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const stop = async (signal) => {
    process.exitCode = 128 + constants.signals[signal];
    await close();
    process.exit();
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await use(await launched);
  } finally {
    await close();
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
