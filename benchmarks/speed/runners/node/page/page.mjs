// Runs in the browser: loads onnxruntime-web and the model, and measures. web.mjs awaits window.outcome.
import { embedGolden, measure, Model } from "/measure.mjs";

const LIBRARY = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };

/** Asks the server. */
async function ask(address, options) {
  const answer = await fetch(address, options);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${await answer.text()}`);
  return answer;
}

/** The library, and the bytes of the model. */
async function load(job) {
  const ort = await import(`/onnxruntime-web/${LIBRARY[job.provider]}`);
  ort.env.wasm.numThreads = job.threads;
  return { ort, bytes: new Uint8Array(await (await ask("/model")).arrayBuffer()) };
}

async function measured() {
  const before = performance.now();
  const { job, items, golden } = await (await ask("/work")).json();
  await ask("/memory");
  const ours = performance.now() - before; // these are the benchmark's; no visitor of a page waits for them

  const { ort, bytes } = await load(job);
  const loading = performance.now();
  // Fetching the model is not in load_s, as it tells of the network; compiling the library's WebAssembly is, as the
  // library does that here. first_vector_s has both: it begins where the browser begins to go to the page.
  const session = await ort.InferenceSession.create(bytes, { executionProviders: [job.provider], logSeverityLevel: 3 });
  const load_s = (performance.now() - loading) / 1000;
  const model = new Model(ort, session, job.graph);
  await model.embed(items.slice(0, 1));
  const first_vector_s = (performance.now() - ours) / 1000;
  await ask("/memory");

  const numbers = await measure(model, job, items);
  await ask("/memory");
  const { vectors, dims } = await embedGolden(model, golden);
  if (vectors) await ask("/vectors", { method: "POST", body: vectors });
  return { version: ort.env.versions.web, load_s, first_vector_s, ...numbers, dims };
}

/** WebGPU's adapter, or null, and what ONNX Runtime logs when it makes a session; nothing is timed here. */
async function probed() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return { adapter: null };
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const float16 = adapter.features.has("shader-f16");
  const { job } = await (await ask("/work")).json();
  const { ort, bytes } = await load(job);
  // The library keeps the console's functions when it starts, so ours must be there before.
  const log = [];
  const keep = (...words) => log.push(words.join(" "));
  for (const level of ["debug", "error", "info", "log", "warn"]) console[level] = keep;
  ort.env.logLevel = "verbose";
  await ort.InferenceSession.create(bytes, { executionProviders: [job.provider], logSeverityLevel: 0 });
  return { adapter: { vendor, architecture, device, description, isFallbackAdapter, float16 }, log };
}

const outcome = location.search === "?probe" ? probed() : measured();
window.outcome = outcome.catch((error) => ({ failed: error.message })); // else web.mjs would get the stack with it
