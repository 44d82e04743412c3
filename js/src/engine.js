// The engine with one model in its memory: strings -> vectors. It knows nothing of files, caches and workers.

const BYTES_A_CALL = 1 << 22; // of texts: the engine's memory never shrinks
const TEXTS_A_CALL = 4096; // their vectors are about as large
const BYTES_A_UNIT = 3; // of UTF-8, at most, for one of UTF-16
const MODEL_LIMIT = 0; // ep_embed's word for: cut where the model says
const utf8 = new TextEncoder();

export class Engine {
  #wasm;
  #model;

  /** The engine with the model of these bytes, which are copied. */
  static async open(module, bytes) {
    const { exports } = await WebAssembly.instantiate(module);
    exports._initialize();
    return new Engine(exports, bytes);
  }

  constructor(wasm, bytes) {
    this.#wasm = wasm;
    const file = this.#room(bytes.length);
    this.#memory(file).set(bytes);
    this.#model = wasm.ep_open_memory(file, bytes.length);
    if (!this.#model) throw new Error(this.#words(wasm.ep_last_error()));
    this.dim = wasm.ep_dim(this.#model);
    this.maxTokens = wasm.ep_max_tokens(this.#model);
    this.precision = this.#words(wasm.ep_precision(this.#model));
  }

  /** Vectors of strings, one after another: (N, D) f32. */
  embed(texts) {
    if (!this.#wasm) throw new Error("the model is closed");
    const vectors = new Float32Array(texts.length * this.dim);
    for (let begin = 0, end; begin < texts.length; begin = end) {
      end = endOfCall(texts, begin);
      this.#call(texts.slice(begin, end), vectors.subarray(begin * this.dim, end * this.dim));
    }
    return vectors;
  }

  /** Lets go of the memory. */
  close() {
    this.#wasm = null;
  }

  #call(texts, vectors) {
    const joined = texts.map((text) => text.replaceAll("\0", "")).join("\0");
    const [input, output] = [this.#room(joined.length * BYTES_A_UNIT), this.#room(vectors.byteLength)];
    try {
      const { written } = utf8.encodeInto(joined, this.#memory(input));
      const found = this.#wasm.ep_embed(this.#model, input, written, output, texts.length, MODEL_LIMIT, 1);
      if (Number(found) !== texts.length) throw new Error(this.#words(this.#wasm.ep_last_error()));
      vectors.set(new Float32Array(this.#wasm.memory.buffer, output, vectors.length));
    } finally {
      this.#wasm.free(input);
      this.#wasm.free(output);
    }
  }

  #room(size) {
    const place = this.#wasm.malloc(Math.max(size, 1)) >>> 0; // an address beyond 2 GB comes as a negative number
    if (!place) throw new RangeError(`there is not enough memory for ${size} bytes`);
    return place;
  }

  /** From a place on, anew each time: it is another array when it has grown. */
  #memory(place) {
    return new Uint8Array(this.#wasm.memory.buffer, place);
  }

  #words(place) {
    const memory = this.#memory(place);
    return new TextDecoder().decode(memory.subarray(0, memory.indexOf(0)));
  }
}

/** Behind the last text of the call that begins with text `begin`. */
function endOfCall(texts, begin) {
  const most = Math.min(texts.length, begin + TEXTS_A_CALL);
  let end = begin + 1;
  for (let size = texts[begin].length; end < most; end++) {
    size += texts[end].length;
    if (size * BYTES_A_UNIT > BYTES_A_CALL) break;
  }
  return end;
}
