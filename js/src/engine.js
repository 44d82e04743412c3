// The engine with one model in its memory: strings -> vectors and probabilities. It knows nothing of files, caches and workers.

const BYTES_A_CALL = 1 << 22; // of texts: the engine's memory never shrinks
const TEXTS_A_CALL = 4096; // their vectors are about as large
const BYTES_A_FLOAT = 4;
const BYTES_A_LABEL = 8;
const BYTES_A_SIZE = 4; // of an address, too
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
    const count = wasm.ep_label_count(this.#model);
    this.nul = characterForNul(this.#said("nul"));
    this.labels = Array.from({ length: count }, (_, label) => this.#words(wasm.ep_label(this.#model, label)));
  }

  /** Vectors of strings, one after another: (N, D) f32. */
  embed(texts) {
    const vectors = new Float32Array(texts.length * this.dim);
    this.#inCalls(texts, this.dim * BYTES_A_FLOAT, (input, size, output, count, begin, lengths) => {
      const found = lengths
        ? this.#wasm.ep_embed_texts(this.#model, input, lengths, count, output, MODEL_LIMIT, 1)
        : this.#wasm.ep_embed(this.#model, input, size, output, count, MODEL_LIMIT, 1);
      this.#done(found, count);
      vectors.set(new Float32Array(this.#wasm.memory.buffer, output, count * this.dim), begin * this.dim);
    });
    return vectors;
  }

  /** What a classifier says of strings: probabilities (N, C) f32, and the label of each (N,) i32, -1 for none of them. */
  classify(texts) {
    const width = this.labels.length;
    const probabilities = new Float32Array(texts.length * width);
    const labels = new Int32Array(texts.length);
    this.#inCalls(texts, width * BYTES_A_FLOAT + BYTES_A_LABEL, (input, size, chosen, count, begin, lengths) => {
      const logits = chosen + count * BYTES_A_LABEL; // these lie behind, as numbers of 8 bytes lie at places of 8
      const found = lengths
        ? this.#wasm.ep_classify_texts(this.#model, input, lengths, count, logits, 0, MODEL_LIMIT, 1)
        : this.#wasm.ep_classify(this.#model, input, size, logits, 0, count, MODEL_LIMIT, 1);
      this.#done(found, count);
      this.#done(this.#wasm.ep_probabilities(this.#model, logits, count, logits, chosen), count);
      const { buffer } = this.#wasm.memory;
      probabilities.set(new Float32Array(buffer, logits, count * width), begin * width);
      labels.set(Array.from(new BigInt64Array(buffer, chosen, count), Number), begin);
    });
    return { probabilities, labels };
  }

  /** Lets go of the memory. */
  close() {
    this.#wasm = null;
  }

  /** `call`s with some texts at a time, and with room for what is answered: texts joined by NUL and how many bytes they
   * have, or, where one holds a NUL that nothing can stand for, the places of their places and of their lengths. */
  #inCalls(texts, bytesAText, call) {
    if (!this.#wasm) throw new Error("the model is closed");
    for (let begin = 0, end; begin < texts.length; begin = end) {
      end = endOfCall(texts, begin);
      const given = texts.slice(begin, end);
      const apart = this.nul === null && given.some((text) => text.includes("\0"));
      const joined = (this.nul === null ? given : given.map((text) => text.replaceAll("\0", this.nul))).join(apart ? "" : "\0");
      const sizes = [joined.length * BYTES_A_UNIT, given.length * bytesAText, apart ? 2 * given.length * BYTES_A_SIZE : 0];
      const rooms = sizes.map((size) => this.#room(size));
      const [input, output, places] = rooms;
      try {
        if (apart) {
          const lengths = this.#apart(given, input, places);
          call(places, 0, output, given.length, begin, lengths);
        } else {
          const { written } = utf8.encodeInto(joined, this.#memory(input));
          call(input, written, output, given.length, begin);
        }
      } finally {
        rooms.forEach((room) => this.#wasm.free(room));
      }
    }
  }

  /** Writes texts into `input`, and where each begins into `places`; gives where it wrote their lengths, behind these. */
  #apart(texts, input, places) {
    const numbers = new Uint32Array(this.#wasm.memory.buffer, places, 2 * texts.length);
    texts.forEach((text, i) => {
      const { written } = utf8.encodeInto(text, this.#memory(input));
      numbers.set([input], i);
      numbers.set([written], texts.length + i);
      input += written;
    });
    return places + texts.length * BYTES_A_SIZE;
  }

  #done(found, count) {
    if (Number(found) !== count) throw new Error(this.#words(this.#wasm.ep_last_error()));
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

  /** What the file says of itself by a name; null where it says nothing. */
  #said(name) {
    const bytes = utf8.encode(`${name}\0`);
    const key = this.#room(bytes.length);
    this.#memory(key).set(bytes);
    const place = this.#wasm.ep_metadata(this.#model, key);
    this.#wasm.free(key);
    return place ? this.#words(place) : null;
  }

  #words(place) {
    const memory = this.#memory(place);
    return new TextDecoder().decode(memory.subarray(0, memory.indexOf(0)));
  }
}

/** What stands for a NUL inside a text, as NUL itself parts texts: nothing where the tokenizer drops it; null where no other
 * character counts as it does. */
function characterForNul(said) {
  if (said === "") return null;
  return /^[0-9]+$/.test(said ?? "") ? String.fromCodePoint(Number(said)) : "";
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
