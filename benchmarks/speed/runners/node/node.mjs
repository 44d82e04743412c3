// Measures a model in Node with onnxruntime-node: node node.mjs JOB.json (the last line of stdout is the result).
import { writeFileSync } from "node:fs";

import { peakBytes, runJob } from "./job.mjs";
import { embedGolden, measure, Model } from "./measure.mjs";

await runJob(["onnxruntime-node"], async ({ job, items, golden }) => {
  if (job.provider !== "cpu") return { absent: `node.mjs runs the provider cpu, not ${job.provider}` };
  const rss_start_bytes = peakBytes("self"); // with the texts, which are the benchmark's; without the library

  const ort = await import("onnxruntime-node");
  const loading = performance.now();
  const session = await ort.InferenceSession.create(job.file, {
    executionProviders: ["cpu"],
    intraOpNumThreads: job.threads,
    logSeverityLevel: 3,
  });
  const load_s = (performance.now() - loading) / 1000;
  const model = new Model(ort, session, job.graph);
  await model.embed(items.slice(0, 1));
  const first_vector_s = (Number(process.hrtime.bigint()) - job.started_ns) / 1e9;
  const rss_first_bytes = peakBytes("self");

  const numbers = await measure(model, job, items);
  const memory = { rss_start_bytes, rss_first_bytes, rss_peak_bytes: peakBytes("self") };
  const { vectors, dims } = await embedGolden(model, golden); // longer than what anyone embeds
  if (vectors) writeFileSync(job.vectors, vectors);
  const versions = { "onnxruntime-node": ort.env.versions.node, node: process.versions.node };
  // onnxruntime-node does not tell which provider runs a node; here it has but one.
  return { versions, device: null, nodes: null, load_s, first_vector_s, ...numbers, ...memory, dims };
});
