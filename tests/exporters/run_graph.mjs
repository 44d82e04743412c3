// Runs a graph on what a file holds: node run_graph.mjs node|web GRAPH FEEDS.json; its outputs as JSON, {name: {dims, data}}.
// FEEDS is {name: {type, dims, data}}, the numbers of int64 as strings.
import { readFileSync } from "node:fs";

const [runtime, graph, file] = process.argv.slice(2);
const [library, provider] = { node: ["onnxruntime-node", "cpu"], web: ["onnxruntime-web", "wasm"] }[runtime];
const ort = await import(library);
ort.env.wasm.numThreads = 1; // as in embed.mjs
const session = await ort.InferenceSession.create(readFileSync(graph), { executionProviders: [provider], intraOpNumThreads: 1 });
const arrays = { uint8: Uint8Array, int64: BigInt64Array };
const feeds = Object.entries(JSON.parse(readFileSync(file, "utf8"))).map(([name, { type, dims, data }]) => [
  name,
  new ort.Tensor(type, arrays[type].from(data, type === "int64" ? BigInt : Number), dims),
]);
const outputs = await session.run(Object.fromEntries(feeds));
const plain = Object.entries(outputs).map(([name, { dims, data }]) => [name, { dims, data: Array.from(data, Number) }]);
console.log(JSON.stringify(Object.fromEntries(plain)));
