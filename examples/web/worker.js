// The page's worker: keeps the model, the lines and their vectors, and does what takes time. One answer a message.
import { answerCalls, nextTurn } from "./calls.js";
import { check } from "./check.js";
import { bytesOf, linesOf } from "./lines.js";
import { Model } from "./model.js";

const SHOWN = 20;
const SHOWN_CHARACTERS = 1000; // of a line
const PROGRESS_MS = 100;

let loading = null; // the model, from the first "load" on; every answer that needs it tells why there is none
let lines = null; // {texts, numbers, vectors}
let reading = new AbortController();
let newestSearch = 0;

answerCalls({
  /** Opens the model by another engine; where that cannot be, the one before goes on. */
  async load({ engine }) {
    const other = Model.load(engine);
    loading ??= other;
    const { bytes } = await other;
    loading = other;
    return { bytes };
  },

  /** Reads a file instead of the one before; null where another came, or stop. */
  async open({ id, file }) {
    reading.abort();
    const { signal } = (reading = new AbortController());
    const model = await loading;
    const bytes = await bytesOf(file);
    if (signal.aborted) return null;
    const found = linesOf(bytes, file.name);
    const start = performance.now();
    let told = start;
    try {
      found.vectors = await model.embed(found.texts, async (done, share) => {
        if (performance.now() - told < PROGRESS_MS) return;
        postMessage({ id, progress: { done, all: found.texts.length, share } });
        await nextTurn();
        signal.throwIfAborted();
        told = performance.now();
      });
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
    const seconds = (performance.now() - start) / 1000;
    makeUnit(found.vectors, model.columns);
    await nextTurn();
    if (signal.aborted) return null;
    lines = found;
    return { lines: lines.texts.length, perSecond: lines.texts.length / seconds };
  },

  stop() {
    reading.abort();
  },

  /** {hits, all, milliseconds, known}: the nearest of all lines, or the first for no query; null if out of date. */
  async search({ id, query }) {
    newestSearch = id;
    if (!lines) return null;
    if (!query.trim()) {
      return { hits: lines.texts.slice(0, SHOWN).map((_, place) => hit(place)), all: lines.texts.length };
    }
    const model = await loading;
    await nextTurn(); // a newer query may be waiting: who types fast needs the last one's answer
    if (id !== newestSearch) return null;
    const start = performance.now();
    const vector = await model.embed([query]);
    makeUnit(vector, model.columns);
    const hits = nearest(vector).map(({ place, score }) => ({ ...hit(place), score }));
    const milliseconds = performance.now() - start;
    return { hits, all: lines.texts.length, milliseconds, known: vector.some((value) => value !== 0) };
  },

  async embed({ texts }) {
    return (await loading).embed(texts);
  },

  async check() {
    return check(await loading);
  },
});

function hit(place) {
  const text = lines.texts[place];
  return { number: lines.numbers[place], text: text.slice(0, SHOWN_CHARACTERS), more: text.length > SHOWN_CHARACTERS };
}

/** Only directions count here, and not every model gives vectors of length one. */
function makeUnit(vectors, columns) {
  for (let begin = 0; begin < vectors.length; begin += columns) {
    let squares = 0;
    for (let at = begin; at < begin + columns; at++) squares += vectors[at] * vectors[at];
    if (squares === 0) continue;
    for (let at = begin; at < begin + columns; at++) vectors[at] /= Math.sqrt(squares);
  }
}

/** [{place, score}] of the lines that are most like the vector, best first. */
function nearest(vector) {
  const { vectors, texts } = lines;
  const best = [];
  for (let place = 0; place < texts.length; place++) {
    const score = dot(vector, vectors, place * vector.length);
    if (best.length === SHOWN && score <= best[SHOWN - 1].score) continue;
    const rank = best.findIndex((other) => other.score < score);
    best.splice(rank < 0 ? best.length : rank, 0, { place, score });
    best.length = Math.min(best.length, SHOWN);
  }
  return best;
}

/** The cosine of a vector and the one that begins at `begin`, as both have unit length. */
function dot(vector, vectors, begin) {
  let sum = 0;
  for (let column = 0; column < vector.length; column++) sum += vector[column] * vectors[begin + column];
  return sum;
}
