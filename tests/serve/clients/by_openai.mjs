// The official client of OpenAI in Node: {url, key, model, texts} as JSON on stdin -> vectors and errors, as JSON.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const asked = JSON.parse(readFileSync(0, "utf-8"));
const { texts, model, dimensions } = asked;
const client = new OpenAI({ baseURL: `${asked.url}/v1`, apiKey: asked.key, maxRetries: 0 });
const stranger = client.withOptions({ apiKey: "wrong" });

async function embedded(input, options = {}) {
  const answer = await client.embeddings.create({ input, model, ...options });
  return answer.data.map((one) => Array.from(one.embedding));
}

async function errorOf(promise) {
  try {
    await promise;
  } catch (error) {
    const { status, code, param, type, message } = error;
    return { class: error.constructor.name, status, code, param, type, message };
  }
  return { class: "" };
}

const models = [];
for await (const one of client.models.list()) models.push(one.id);
const each = await Promise.all(texts.map((text) => embedded(text)));
const answer = {
  models,
  "by default": await embedded(texts),
  float: await embedded(texts, { encoding_format: "float" }),
  dimensions: await embedded(texts, { dimensions }),
  "at the same time": each.flat(),
  errors: {
    "wrong key": await errorOf(stranger.embeddings.create({ input: "a", model })),
    "token ids": await errorOf(embedded([1, 2, 3])),
    dimensions: await errorOf(embedded("a", { dimensions: 10 ** 6 })),
    "too large": await errorOf(embedded("word ".repeat(5_000_000))),
    path: await errorOf(client.chat.completions.create({ messages: [], model })),
  },
};
console.log(JSON.stringify(answer));
