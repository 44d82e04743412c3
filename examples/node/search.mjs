// Finds the lines of a file that mean what a query means: node search.mjs BUNDLE FILE "QUERY", or node search.mjs BUNDLE --check
import { existsSync, readFileSync } from "node:fs";

const USAGE = 'usage: node search.mjs BUNDLE FILE "QUERY", or node search.mjs BUNDLE --check';
const [bundle, file, query, ...more] = process.argv.slice(2);
if (["-h", "--help"].includes(bundle)) {
  console.log(USAGE);
  process.exit();
}
const checking = file === "--check";
const option = [bundle, checking ? "" : file].find((word) => word?.startsWith("-"));
if (option) fail(`there is no option ${option}; ${USAGE}`, 2);
if (!bundle || !file || more.length || (query === undefined) !== checking) fail(`${process.argv.length - 2} arguments given; ${USAGE}`, 2);

const graph = `${bundle}/onnx/text_quantized.onnx`;
for (const needed of checking ? [graph, `${bundle}/golden.json`] : [graph])
  if (!existsSync(needed)) fail(`${needed} is missing; write a bundle with: edge-potion export MODEL --quantize int8 --out BUNDLE`);
const ort = await import("onnxruntime-node").catch(() => fail("onnxruntime-node is not installed; run npm install beside search.mjs"));
const session = await ort.InferenceSession.create(graph).catch((reason) => fail(`${graph} cannot be loaded (${reason.message})`));
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
const lines = textOf(file).split(/\r?\n/).filter(Boolean);
if (!lines.length) fail(`${file} holds no text`);
const [wanted] = await embed([query]);
if (!wanted.some(Boolean)) fail("the model knows no word of the query");
const scored = (await embed(lines)).map((vector, at) => [dot(wanted, vector), lines[at]]);
for (const [score, line] of scored.sort(([a], [b]) => b - a).slice(0, 5)) console.log(score.toFixed(3), line);

/** The file's text without its byte-order mark; ends the program where it cannot be read, or is not UTF-8. */
function textOf(path) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (reason) {
    return fail(`${path} cannot be read (${reason.message})`);
  }
}

/** Ends the program with one line on stderr. */
function fail(line, code = 1) {
  console.error(`error: ${line.split("\n")[0]}`);
  process.exit(code);
}
