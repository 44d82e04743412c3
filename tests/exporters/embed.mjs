// Embeds texts with a text graph: node embed.mjs node|web GRAPH TEXTS OUT [TEXTS OUT]...
// TEXTS holds UTF-8 joined by NUL; OUT gets the float32 vectors as raw bytes, and a line of stdout their dims as JSON.
import { readFileSync, writeFileSync } from "node:fs";

const [runtime, graph, ...files] = process.argv.slice(2);
const [library, provider] = { node: ["onnxruntime-node", "cpu"], web: ["onnxruntime-web", "wasm"] }[runtime];
const ort = await import(library);
// Else it starts worker threads where there are three cores or more; a page may only if it is cross-origin isolated.
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(graph), {
  executionProviders: [provider],
  intraOpNumThreads: 1,
});
while (files.length) {
  const [texts, out] = files.splice(0, 2);
  const bytes = new Uint8Array(readFileSync(texts));
  const { sentence_embedding } = await session.run({ text: new ort.Tensor("uint8", bytes, [bytes.length]) });
  writeFileSync(out, sentence_embedding.data);
  console.log(JSON.stringify(sentence_embedding.dims));
}
