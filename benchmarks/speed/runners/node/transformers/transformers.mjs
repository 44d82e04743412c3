// Measures a bundle in Node with transformers.js: node transformers.mjs JOB.json (the last line of stdout is the result).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PACKAGES, peakBytes, runJob } from "../job.mjs";
import { embedGolden, measure } from "../measure.mjs";

const DTYPES = { float32: "fp32", float16: "fp16", int8: "q8" };

/** The pipeline as its users call it, with what `measure` asks of a model; NaN is for whoever reads the vectors. */
class Extractor {
  constructor(extract) {
    this.extract = extract;
  }

  async embed(texts) {
    const start = performance.now();
    const { data: vectors, dims } = await this.extract(texts, { pooling: "mean", normalize: true });
    const seconds = (performance.now() - start) / 1000;
    this.columns = dims.at(-1);
    return { seconds, vectors, columns: this.columns };
  }
}

await runJob(["@huggingface/transformers"], async ({ job, items, golden }) => {
  const rss_start_bytes = peakBytes("self"); // with the texts, which are the benchmark's; without the library

  const { env, pipeline } = await import("@huggingface/transformers");
  env.allowRemoteModels = false;
  const loading = performance.now();
  const extract = await pipeline("feature-extraction", job.folder, {
    dtype: DTYPES[job.precision],
    local_files_only: true,
    session_options: { intraOpNumThreads: job.threads, logSeverityLevel: 3 },
  });
  const load_s = (performance.now() - loading) / 1000;
  const model = new Extractor(extract);
  await model.embed(items.slice(0, 1));
  const first_vector_s = (Number(process.hrtime.bigint()) - job.started_ns) / 1e9;
  const rss_first_bytes = peakBytes("self");

  const numbers = await measure(model, job, items);
  const memory = { rss_start_bytes, rss_first_bytes, rss_peak_bytes: peakBytes("self") };
  const { vectors, dims } = await embedGolden(model, golden);
  if (vectors) writeFileSync(job.vectors, vectors);
  const packages = ["@huggingface/transformers", "@huggingface/tokenizers", "onnxruntime-node"];
  const versions = { ...Object.fromEntries(packages.map((name) => [name, version(name)])), node: process.versions.node };
  return { versions, device: null, nodes: null, load_s, first_vector_s, ...numbers, ...memory, dims };
});

function version(name) {
  return JSON.parse(readFileSync(join(PACKAGES, name, "package.json"), "utf8")).version;
}
