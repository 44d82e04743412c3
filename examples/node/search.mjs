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
const { load } = await import("edge-potion").catch(() => fail("edge-potion is not installed; run npm install beside search.mjs"));
const model = await load(graph).catch((reason) => fail(reason.message));

if (checking) { // what this machine computes, beside what the model's makers computed: directions and lengths
  const { passed, texts, leastCosine, why } = await model.check(`${bundle}/golden.json`).catch((reason) => fail(reason.message));
  console.log(passed ? `ok: ${texts} texts, least cosine ${leastCosine.toFixed(5)}` : `FAILED: ${why}`);
  process.exit(passed ? 0 : 1);
}
const lines = textOf(file).split(/\r?\n/).filter(Boolean);
if (!lines.length) fail(`${file} holds no text`);
const wanted = await model.embed(query);
if (!wanted.some(Boolean)) fail("the model knows no word of the query");
const scores = await model.similarity(wanted, lines);
const best = lines.map((line, at) => [scores[at], line]).sort(([a], [b]) => b - a);
for (const [score, line] of best.slice(0, 5)) console.log(score.toFixed(3), line);

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
