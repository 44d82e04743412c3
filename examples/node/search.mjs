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

if (file === "--check") { // what this machine computes, beside what the model's makers computed: directions and lengths
  const golden = JSON.parse(readFileSync(`${bundle}/golden.json`, "utf8"));
  const places = golden.texts.flatMap((text, at) => (text.includes("\0") ? [] : [at])); // as every check does
  const vectors = await embed(places.map((at) => golden.texts[at]));
  const { cosine, short_cosine, median_cosine } = golden.tolerance.int8;
  const cosines = places.map((at, row) => dot(vectors[row], golden.vectors[at]));
  const bad = places.filter((at, row) => {
    const length = Math.sqrt(dot(vectors[row], vectors[row]));
    if (!golden.known_tokens[at]) return length !== 0;
    const least = golden.known_tokens[at] < golden.short_text ? short_cosine : cosine;
    return !(cosines[row] >= least && Math.abs(length - 1) <= (golden.unit_length ?? 1e-3));
  });
  const median = [...cosines].sort((a, b) => a - b)[cosines.length >> 1];
  const passed = !bad.length && median >= median_cosine;
  console.log(`${passed ? "ok" : "FAILED"}: ${bad.length} of ${places.length} texts stray, median cosine ${median.toFixed(6)}`);
  process.exit(passed ? 0 : 1);
}
const lines = readFileSync(file, "utf8").split(/\r?\n/).filter(Boolean);
const [wanted] = await embed([query]);
const scored = (await embed(lines)).map((vector, at) => [dot(wanted, vector), lines[at]]);
for (const [score, line] of scored.sort(([a], [b]) => b - a).slice(0, 5)) console.log(score.toFixed(3), line);
