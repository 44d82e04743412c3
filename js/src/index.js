// edge-potion in JavaScript: opens a model, turns texts into vectors, and classifies them.
import { compare } from "./check.js";
import { compile } from "./compile.js";
import { Engine } from "./engine.js";
import { asBytes, read } from "./read.js";
import { startWorker } from "./start_worker.js";

/** Opens a model; index.d.ts tells its options. */
export async function load(model, { onProgress = () => {}, cache = true, worker = false, wasm } = {}) {
  const given = asBytes(model);
  const reading = given ? { bytes: given } : read(model, { cache, onProgress });
  const [{ bytes, keep }, module] = await Promise.all([reading, compile(wasm)]);
  const engine = await (worker ? startWorker : Engine.open)(module, bytes).catch((error) => {
    throw new Error(`${given ? "the model" : model} cannot be opened: ${error.message}`, { cause: error });
  });
  keep?.(); // what is no model is not kept
  return new Model(engine);
}

class Model {
  #engine;

  constructor(engine) {
    this.#engine = engine;
  }

  get dim() {
    return this.#engine.dim;
  }

  get maxTokens() {
    return this.#engine.maxTokens;
  }

  get labels() {
    return this.#engine.labels;
  }

  async embed(texts) {
    if (typeof texts === "string") return this.#engine.embed([texts]);
    refuseOthers("embed", texts);
    const all = await this.#engine.embed(texts); // (N, D)
    return texts.map((_, row) => all.subarray(row * this.dim, (row + 1) * this.dim));
  }

  async classify(texts) {
    if (!this.labels.length) throw new Error("the model is no classifier: its file holds no head");
    if (typeof texts === "string") return (await this.classify([texts]))[0];
    refuseOthers("classify", texts);
    const { probabilities, labels } = await this.#engine.classify(texts); // (N, C), (N,)
    const width = this.labels.length;
    return texts.map((_, row) => {
      const each = probabilities.subarray(row * width, (row + 1) * width);
      return { label: this.labels[labels[row]] ?? null, probability: Math.max(...each), probabilities: each };
    });
  }

  async similarity(one, other) {
    if (Array.isArray(one)) throw new TypeError("similarity takes one text or vector first; an array comes second");
    const [vector] = await this.#vectorsOf([one]);
    const others = await this.#vectorsOf(Array.isArray(other) ? other : [other]);
    const cosines = others.map((each) => cosine(vector, each));
    return Array.isArray(other) ? cosines : cosines[0];
  }

  async check(golden) {
    if (typeof golden !== "string" && !(golden instanceof URL)) return compare(golden, this.#engine);
    const text = new TextDecoder().decode((await read(golden)).bytes);
    return compare(parsed(text, golden), this.#engine);
  }

  close() {
    this.#engine.close();
  }

  /** Those of texts; vectors are taken as they are. */
  #vectorsOf(items) {
    return items.length && items.every((item) => item instanceof Float32Array) ? items : this.embed(items);
  }
}

const kindOf = (value) => (value == null ? String(value) : Array.isArray(value) ? "an array" : `a ${typeof value}`);

function refuseOthers(call, texts) {
  if (!Array.isArray(texts)) {
    throw new TypeError(`${call} takes a string or an array of strings, and was given ${kindOf(texts)}`);
  }
  const other = texts.findIndex((text) => typeof text !== "string");
  if (other >= 0) throw new TypeError(`${call} takes strings, and item ${other} is ${kindOf(texts[other])}`);
}

function parsed(text, place) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${place} is no golden.json: it is not JSON`, { cause: error });
  }
}

export function cosine(one, other) {
  if (one.length !== other.length) {
    throw new RangeError(`vectors of ${one.length} and ${other.length} numbers cannot be compared`);
  }
  let [product, ones, others] = [0, 0, 0];
  for (let at = 0; at < one.length; at++) {
    product += one[at] * other[at];
    ones += one[at] * one[at];
    others += other[at] * other[at];
  }
  return ones > 0 && others > 0 ? product / Math.sqrt(ones * others) : 0;
}
