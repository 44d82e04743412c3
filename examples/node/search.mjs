// Finds the lines of a file that mean what a query means: node search.mjs BUNDLE FILE "QUERY", or node search.mjs BUNDLE --check
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const [bundle, file, query] = process.argv.slice(2);
const session = await ort.InferenceSession.create(`${bundle}/onnx/text_quantized.onnx`);
const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);

/** A unit vector, Float32Array, for each text; no text may hold NUL, which stands between them. */
async function embed(texts) {
  const bytes = new TextEncoder().encode(texts.map((text) => text.replaceAll("\0", "")).join("\0"));
  const { sentence_embedding: all } = await session.run({ text: new ort.Tensor("uint8", bytes, [bytes.length]) });
  return texts.map((_, row) => all.data.subarray(row * all.dims[1], (row + 1) * all.dims[1]));
}

if (file === "--check") { // what this machine computes, beside what the model's makers computed
  const golden = JSON.parse(readFileSync(`${bundle}/golden.json`, "utf8"));
  const cosines = (await embed(golden.texts)).map((vector, at) => dot(vector, golden.vectors[at]));
  const { cosine, short_cosine, median_cosine } = golden.tolerance.int8;
  const bad = cosines.filter((found, at) => golden.known_tokens[at] > 0 &&
    !(found >= (golden.known_tokens[at] < golden.short_text ? short_cosine : cosine)));
  const median = [...cosines].sort((a, b) => a - b)[cosines.length >> 1];
  const passed = !bad.length && median >= median_cosine;
  console.log(`${passed ? "ok" : "FAILED"}: ${bad.length} of ${cosines.length} texts stray, median cosine ${median.toFixed(6)}`);
  process.exit(passed ? 0 : 1);
}
const lines = readFileSync(file, "utf8").split(/\r?\n/).filter(Boolean);
const [wanted] = await embed([query]);
const scored = (await embed(lines)).map((vector, at) => [dot(wanted, vector), lines[at]]);
for (const [score, line] of scored.sort(([a], [b]) => b - a).slice(0, 5)) console.log(score.toFixed(3), line);
