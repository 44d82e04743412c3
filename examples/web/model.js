// Opens the model by the engine that is asked for, and turns texts into vectors in calls of like lengths.
import { Told } from "./errors.js";

const FILE = "model/text_quantized.onnx";
const ENGINES = {
  "edge-potion": () => import("./engine.js"),
  "onnxruntime-web": () => import("./onnxruntime.js"),
};
// onnxruntime-web lays out a call as wide as its longest text; so much fits the processor's caches beside the table.
const TOKENS_A_CALL = 8192;
const CHARACTERS_A_TOKEN = 4; // about, in English; for the size of a call alone
// The model reads 512 tokens of a text; what lies behind would cost onnxruntime-web a kilobyte of memory a character.
const MOST_CHARACTERS = 43_690;

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
  #engine;

  /** By `engine`, a name in ENGINES. */
  static async load(engine) {
    if (typeof WebAssembly === "undefined") {
      throw new Told("This browser runs no WebAssembly, which the model needs: allow it, or use another browser.");
    }
    const [bytes, { open }] = await Promise.all([download(), ENGINES[engine]()]);
    const model = new Model();
    model.bytes = bytes.length;
    model.#engine = await open(bytes, FILE);
    model.columns = model.#engine.columns;
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
      const rows = await this.#engine.embed(Array.from(places, (place) => fed(texts[place])));
      places.forEach((place, row) => vectors.set(rows[row], place * this.columns));
      textsDone += places.length;
      workDone += work(places);
      await afterCall(textsDone, workDone / all);
    }
    return vectors;
  }
}

/** What the model is given of a text; NUL is no part of one. */
const fed = (text) => text.slice(0, MOST_CHARACTERS).replaceAll("\0", "");
