// Measures a model in Chromium with onnxruntime-web: node web.mjs JOB.json (the last line of stdout is the result).
import { ABSENT, findChromium, withChromium } from "./chromium.mjs";
import { peakBytes, runJob } from "./job.mjs";
import { withServer } from "./server.mjs";

const TIMEOUT_S = 120;
// WebGPU is off on Linux, and the software adapter everywhere, unless asked for. Where Chromium does not come to the
// software adapter by itself, it must be named.
const WEBGPU_FLAGS = [
  ["--enable-unsafe-webgpu", "--enable-features=Vulkan"],
  ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
];
const HEAVY_NODES = ["table", "pool"]; // the look-up of rows and their sum: all the rest works on ids or on one vector

await runJob(["onnxruntime-web", "playwright-core"], async (work) => {
  const { provider } = work.job;
  if (!findChromium()) return { absent: ABSENT };
  if (provider === "wasm") return { ...(await measure(work, [])), device: null, nodes: null };
  if (provider === "webgpu") return measureOnGpu(work);
  return { absent: `web.mjs runs the providers wasm and webgpu, not ${provider}` };
});

/** Measures in a Chromium that has run nothing else. */
async function measure(work, flags) {
  const readings = [];
  const read = async (browser) => readings.push(await memoryByProcess(browser));
  const { chromium, version, ...numbers } = await visit(work, flags, "", read);
  return { versions: { "onnxruntime-web": version, chromium }, ...numbers, ...memoryOf(readings, work.job.provider) };
}

/** Measures only where WebGPU runs the heavy nodes: what it cannot run, ONNX Runtime silently runs on the CPU. */
async function measureOnGpu(work) {
  for (const flags of WEBGPU_FLAGS) {
    // In a Chromium of its own, as this warms the GPU process up.
    const { adapter, log } = await visit(work, flags, "?probe", () => {});
    if (!adapter) continue;
    const nodes = placements(log);
    const elsewhere = HEAVY_NODES.filter((name) => !nodes.webgpu.includes(name));
    if (elsewhere.length) return { fell_back: `not on WebGPU but on the CPU: ${elsewhere.join(", ")}`, nodes };
    const device = deviceName(adapter);
    if (work.job.precision === "float16" && !adapter.float16) {
      return { absent: `no WebGPU adapter with float16: ${device} has no shader-f16` };
    }
    return { ...(await measure(work, flags)), device, nodes };
  }
  return { absent: "no WebGPU adapter: Chromium found neither a GPU nor SwiftShader" };
}

/** What window.outcome of the page comes to, in a new Chromium; read(browser) is called when the page asks for it. */
function visit(work, flags, query, read) {
  return withChromium(flags, async (browser) => {
    return await withServer(work, () => read(browser), async (address) => {
      const page = await browser.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      const late = new Promise((_, reject) => {
        const fail = () => reject(new Error(`the page took more than ${TIMEOUT_S} s`));
        setTimeout(fail, TIMEOUT_S * 1000).unref();
      });
      await page.goto(`${address}${query}`);
      const outcome = await Promise.race([late, page.evaluate(() => window.outcome)]);
      if (!outcome) throw new Error(`the page did not start: ${errors.join("; ")}`);
      if (outcome.failed) throw new Error(outcome.failed);
      return { ...outcome, chromium: browser.version() };
    });
  });
}

/** {webgpu: names, cpu: names} from ONNX Runtime's log, in which a node's line reads "… Gather (table)". */
function placements(log) {
  const nodes = { webgpu: [], cpu: [] };
  let names = null;
  for (const line of log.filter((line) => line.includes("VerifyEachNodeIsAssignedToAnEp"))) {
    const provider = /placed on \[(\w+)\]/.exec(line)?.[1];
    if (provider) names = provider === "CPUExecutionProvider" ? nodes.cpu : nodes.webgpu;
    const [, operator, name] = /\] +(\w+) \((.*)\)$/.exec(line) ?? [];
    // Copies between GPU and CPU are no nodes of the graph, and belong to neither.
    if (operator && !operator.startsWith("Memcpy")) names.push(name);
  }
  if (!nodes.webgpu.length && !nodes.cpu.length) throw new Error("onnxruntime-web's log names no node of the graph");
  return nodes;
}

function deviceName({ vendor, architecture, device, description, isFallbackAdapter }) {
  const name = [vendor, architecture, device, description].filter(Boolean).join(" ");
  return isFallbackAdapter || /swiftshader|llvmpipe/i.test(name) ? `${name} (software)` : name;
}

/** [{type, id, bytes}] of Chromium's renderers and its GPU process. */
async function memoryByProcess(browser) {
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  await devtools.detach();
  const ours = processInfo.filter(({ type }) => type === "renderer" || type === "GPU");
  return ours.map(({ type, id }) => ({ type, id, bytes: peakBytes(id) }));
}

/**
 * Of readings before the library, after the first vector and at the end: the memory of the page's renderer, for
 * WebGPU with that of the GPU process, which holds the table there. Chromium does not tell which renderer is the
 * page's (others wait for pages to come): it is the one that grew most.
 */
function memoryOf(readings, provider) {
  const bytes = (reading, id) => reading.find((process) => process.id === id)?.bytes ?? NaN;
  const growth = ({ id }) => bytes(readings[1], id) - bytes(readings[0], id);
  const [page] = readings[0].filter(({ type }) => type === "renderer").sort((a, b) => growth(b) - growth(a));
  const counted = [page, ...readings[0].filter(({ type }) => type === "GPU" && provider === "webgpu")];
  const sums = readings.map((reading) => counted.reduce((sum, { id }) => sum + bytes(reading, id), 0) || null);
  // A process's peak never falls, but Chromium may give the page's work to another one.
  const known = sums.filter((sum) => sum !== null);
  return { rss_start_bytes: sums[0], rss_first_bytes: sums[1], rss_peak_bytes: known.length ? Math.max(...known) : null };
}
