// Holds this device's vectors to those in the model's golden.json, by the cosines and lengths that edge-potion asks for
// at int8.
import { Told } from "./errors.js";

const FILE = "model/golden.json";
const FORMAT = 1;
const UNIT_LENGTH = 1e-3; // by how much a unit length may be off, where golden.json does not tell

/** {passed, texts, least, why}; embed(texts) gives vectors one after another. */
export async function check(embed) {
  const golden = await read();
  // Older files hold texts with NUL, which parts texts; every check leaves them out.
  const places = golden.texts.flatMap((text, place) => (text.includes("\0") ? [] : [place]));
  const vectors = await embed(places.map((place) => golden.texts[place]));
  const columns = golden.vectors[0].length;
  if (vectors.length !== places.length * columns) {
    const why = `the model's vectors do not have ${columns} numbers`;
    return { passed: false, texts: places.length, least: NaN, why };
  }
  const found = (row) => vectors.subarray(row * columns, (row + 1) * columns);
  const cosines = places.map((place, row) => cosine(found(row), golden.vectors[place]));
  const least = (some) => some.reduce((a, b) => (a < b || Number.isNaN(a) ? a : b), 1); // a NaN stays what it is
  const isShort = (row) => golden.known_tokens[places[row]] < golden.short_text;
  const sorted = [...cosines].sort((a, b) => a - b);
  const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  const bounds = golden.tolerance.int8;
  const strays = [
    ["the median cosine", median, bounds.median_cosine],
    ["a cosine", least(cosines.filter((_, row) => !isShort(row))), bounds.cosine],
    ["a short text's cosine", least(cosines.filter((_, row) => isShort(row))), bounds.short_cosine],
  ]
    .filter(([, some, bound]) => !(some >= bound))
    .map(([name, some, bound]) => `${name} is ${some.toFixed(5)}, below ${bound}`);
  const lengths = places.map((_, row) => length(found(row)));
  const wanted = places.map((place) => length(golden.vectors[place]));
  const bound = golden.normalize ? (golden.unit_length ?? UNIT_LENGTH) : bounds.norm;
  // A vector that has no unit length is measured by its own, or by a share of the longest where it is short.
  const floor = golden.short_length * Math.max(...wanted);
  const measure = (row) => (golden.normalize ? 1 : Math.max(wanted[row], floor));
  const off = lengths.find((own, row) => !(Math.abs(own - wanted[row]) <= bound * measure(row)));
  if (off !== undefined) strays.push(`a vector's length is ${off.toFixed(5)}, and ${bound} is what it may be off`);
  return { passed: !strays.length, texts: places.length, least: least(cosines), why: strays.join(", ") };
}

const length = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

async function read() {
  const answer = await fetch(new URL(FILE, import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Told(`${FILE} is missing: copy golden.json from the model's folder, and try again.`);
  const golden = await answer.json().catch(() => null);
  if (golden?.format !== FORMAT || !golden.tolerance?.int8) {
    throw new Told(`${FILE} is damaged or of another format: copy golden.json from the model's folder, and try again.`);
  }
  return golden;
}

/** 1 where both are zero, as texts without a known token are; 0 where one is. */
function cosine(a, b) {
  let [dot, aa, bb] = [0, 0, 0];
  for (let place = 0; place < b.length; place++) {
    dot += a[place] * b[place];
    aa += a[place] * a[place];
    bb += b[place] * b[place];
  }
  if (aa === 0 && bb === 0) return 1;
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
