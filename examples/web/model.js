// Opens the model with onnxruntime-web, and turns texts into vectors in calls of like lengths.
import { Told } from "./errors.js";

const LIBRARY = new URL("./vendor/", import.meta.url).href;
const FILE = "model/text_quantized.onnx";
// A call is laid out as wide as its longest text; so much fits the processor's caches beside the table.
const TOKENS_A_CALL = 8192;
const CHARACTERS_A_TOKEN = 4; // about, in English; for the size of a call alone
// The model reads 512 tokens of a text; what lies behind would cost a kilobyte of memory a character.
const MOST_CHARACTERS = 43_690;

/** {ort, session} of the file. */
async function open(bytes) {
  const ort = await import(`${LIBRARY}ort.wasm.min.mjs`).catch(() => {
    throw new Told("onnxruntime-web is missing: put its files into vendor/, as README.md says, and reload this page.");
  });
  ort.env.wasm.wasmPaths = LIBRARY;
  ort.env.wasm.numThreads = 1; // more need headers that not every web host sends, and gain little on small calls
  try {
    // Shapes change with every call, so a plan of memory for each would never be used again.
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3, enableMemPattern: false };
    return { ort, session: await ort.InferenceSession.create(bytes, options) };
  } catch (error) {
    if (/SIMD/.test(error.message)) {
      throw new Told("This browser's WebAssembly is too old for the model (it lacks SIMD): update the browser.");
    }
    if (/no available backend/.test(error.message) && !/memory|allocat/i.test(error.message)) {
      throw new Told("onnxruntime-web cannot start: put all of its files into vendor/, as README.md says, and reload.");
    }
    if (/protobuf|ModelProto|deserializ|opset/i.test(error.message)) {
      throw new Told(`${FILE} is damaged or not an ONNX file: copy it again from the model's folder, and reload.`);
    }
    throw error;
  }
}

/** The bytes of the file. */
async function download() {
  const answer = await fetch(new URL(FILE, import.meta.url)).catch(() => {
    throw new Told("The model could not be fetched: see that this device is online, and reload this page.");
  });
  if (!answer.ok) {
    const missing = `The model is missing (${answer.status})`;
    throw new Told(`${missing}: put ${FILE} beside this page, as README.md says, and reload.`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

/** Places of `texts`, by length, in calls of bounded size. */
function* callsOf(texts) {
  const order = Uint32Array.from(texts.keys()).sort((a, b) => texts[a].length - texts[b].length);
  let begin = 0;
  for (let end = 1; end <= order.length; end++) {
    const widest = end < order.length ? Math.min(texts[order[end]].length, MOST_CHARACTERS) : Infinity;
    if ((end + 1 - begin) * (widest / CHARACTERS_A_TOKEN + 1) <= TOKENS_A_CALL) continue;
    yield order.subarray(begin, end);
    begin = end;
  }
}

export class Model {
  #ort;
  #session;
  #last = Promise.resolve();

  static async load() {
    if (typeof WebAssembly === "undefined") {
      throw new Told("This browser runs no WebAssembly, which the model needs: allow it, or use another browser.");
    }
    const bytes = await download();
    const model = new Model();
    model.bytes = bytes.length;
    ({ ort: model.#ort, session: model.#session } = await open(bytes));
    if (!model.#session.inputNames.includes("text")) {
      throw new Told(`${FILE} takes no text: take the file of that name from an edge-potion bundle, and reload.`);
    }
    model.columns = (await model.#run([""])).length;
    return model;
  }

  /** Vectors of strings, one after another; await afterCall(texts done, share of the work done) after each call. */
  async embed(texts, afterCall = () => {}) {
    const vectors = new Float32Array(texts.length * this.columns);
    const work = (places) => places.reduce((sum, place) => sum + texts[place].length + CHARACTERS_A_TOKEN, 0);
    const all = work([...texts.keys()]);
    let textsDone = 0;
    let workDone = 0;
    for (const places of callsOf(texts)) {
      const rows = await this.#run(Array.from(places, (place) => texts[place]));
      places.forEach((place, row) => {
        vectors.set(rows.subarray(row * this.columns, (row + 1) * this.columns), place * this.columns);
      });
      textsDone += places.length;
      workDone += work(places);
      await afterCall(textsDone, workDone / all);
    }
    return vectors;
  }

  /** Vectors of the texts of one call; the session runs no two calls at once. */
  #run(texts) {
    const found = this.#last.then(() => this.#call(texts));
    this.#last = found.catch(() => {});
    return found;
  }

  async #call(texts) {
    // NUL parts texts, so none may be inside one.
    const joined = texts.map((text) => text.slice(0, MOST_CHARACTERS).replaceAll("\0", "")).join("\0");
    const bytes = new TextEncoder().encode(joined);
    const text = new this.#ort.Tensor("uint8", bytes, [bytes.length]);
    return (await this.#session.run({ text })).sentence_embedding.data;
  }
}
