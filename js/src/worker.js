// The worker of start_worker.js: is given a module and a model first, then texts. One answer a message.
import { Engine } from "./engine.js";

let engine;

async function answer({ module, bytes, texts, classify }) {
  if (!module) return classify ? engine.classify(texts) : engine.embed(texts);
  engine = await Engine.open(module, bytes);
  return { dim: engine.dim, maxTokens: engine.maxTokens, precision: engine.precision, labels: engine.labels };
}

self.addEventListener("message", ({ data }) => {
  answer(data).then(
    (value) => self.postMessage({ id: data.id, value }, value.buffer ? [value.buffer] : []),
    (error) => self.postMessage({ id: data.id, error: error.message }),
  );
});
