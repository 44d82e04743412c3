// Holds this device's vectors to those in the model's golden.json, by the cosines that edge-potion asks for at int8.
import { Told } from "./errors.js";

const FILE = "model/golden.json";
const FORMAT = 1;

/** {passed, texts, least, why}; embed(texts) gives vectors one after another. */
export async function check(embed) {
  const golden = await read();
  // A NUL would part a text in two, and this page takes it out.
  const places = golden.texts.flatMap((text, place) => (text.includes("\0") ? [] : [place]));
  const vectors = await embed(places.map((place) => golden.texts[place]));
  const columns = golden.vectors[0].length;
  if (vectors.length !== places.length * columns) {
    const why = `the model's vectors do not have ${columns} numbers`;
    return { passed: false, texts: places.length, least: NaN, why };
  }
  const cosines = places.map((place, row) =>
    cosine(vectors.subarray(row * columns, (row + 1) * columns), golden.vectors[place]),
  );
  const least = (some) => some.reduce((a, b) => (a < b || Number.isNaN(a) ? a : b), 1); // a NaN stays what it is
  const isShort = (row) => golden.known_tokens[places[row]] < golden.short_text;
  const sorted = [...cosines].sort((a, b) => a - b);
  const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  const bounds = golden.tolerance.int8;
  const strays = [
    ["the median cosine", median, bounds.median_cosine],
    ["a cosine", least(cosines.filter((_, row) => !isShort(row))), bounds.cosine],
    ["a short text's cosine", least(cosines.filter((_, row) => isShort(row))), bounds.short_cosine],
  ].filter(([, found, bound]) => !(found >= bound));
  const why = strays.map(([name, found, bound]) => `${name} is ${found.toFixed(5)}, below ${bound}`).join(", ");
  return { passed: !strays.length, texts: places.length, least: least(cosines), why };
}

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
