// Opens a model by the engine that is asked for, and gives it texts in calls of like lengths: to vectors, to labels.
import { Told } from "./errors.js";
import { answersOf } from "./metadata.js";

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

/** The bytes of a file of the page's. */
export async function download(file) {
  const answer = await fetch(new URL(file, import.meta.url)).catch(() => {
    throw new Told("The model could not be fetched: see that this device is online, and reload this page.");
  });
  if (!answer.ok) {
    const missing = `The model is missing (${answer.status})`;
    throw new Told(`${missing}: put ${file} beside this page, as README.md says, and reload.`);
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

  /** The page's own model, by `engine`, a name in ENGINES. */
  static async load(engine) {
    checkBrowser();
    const [bytes] = await Promise.all([download(FILE), ENGINES[engine]()]); // side by side
    return Model.open(engine, bytes, FILE);
  }

  /** The model in the bytes of a file of that name. */
  static async open(engine, bytes, name) {
    checkBrowser();
    const { open } = await ENGINES[engine]();
    const model = new Model();
    model.bytes = bytes.length;
    model.#engine = await open(bytes, name);
    model.columns = model.#engine.columns;
    Object.assign(model, answersOf(bytes)); // labels, multiLabel, threshold
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

  /** What a classifier says of each string: {label, probabilities}; label is null for none of its labels. */
  async classify(texts) {
    const found = [];
    for (const places of callsOf(texts)) {
      const rows = await this.#engine.classify(Array.from(places, (place) => fed(texts[place])));
      places.forEach((place, row) => (found[place] = rows[row]));
    }
    return found;
  }
}

function checkBrowser() {
  if (typeof WebAssembly === "undefined") {
    throw new Told("This browser runs no WebAssembly, which the model needs: allow it, or use another browser.");
  }
}

/** What the model is given of a text; NUL is no part of one. */
const fed = (text) => text.slice(0, MOST_CHARACTERS).replaceAll("\0", "");
