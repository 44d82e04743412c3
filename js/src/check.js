// Holds the vectors of this device to those in a model's golden.json, by its bounds for the model's precision.

const FORMAT = 1;
const UNIT_LENGTH = 1e-3; // by how much a unit length may be off, where golden.json does not tell

/** {passed, texts, leastCosine, why} of an engine. */
export async function compare(golden, engine) {
  if (golden?.format !== FORMAT) throw new Error(`golden.json is damaged or of another format than ${FORMAT}`);
  const bounds = golden.tolerance[engine.precision];
  if (!bounds) throw new Error(`golden.json belongs to another model: it says nothing of ${engine.precision}`);
  const width = golden.vectors[0].length;
  if (width !== engine.dim) throw new Error(`golden.json belongs to another model: its vectors have ${width} numbers, not ${engine.dim}`);
  // Older files hold texts with NUL, which parts texts; every check leaves them out.
  const places = golden.texts.flatMap((text, place) => (text.includes("\0") ? [] : [place]));
  const vectors = await engine.embed(places.map((place) => golden.texts[place]));
  const found = places.map((_, row) => vectors.subarray(row * width, (row + 1) * width));
  const wanted = places.map((place) => golden.vectors[place]);

  const cosines = found.map((vector, row) => cosineOf(vector, wanted[row]));
  const isShort = (_, row) => golden.known_tokens[places[row]] < golden.short_text;
  const strays = [
    ["the median cosine", median(cosines), bounds.median_cosine],
    ["a cosine", least(cosines.filter((cosine, row) => !isShort(cosine, row))), bounds.cosine],
    ["a short text's cosine", least(cosines.filter(isShort)), bounds.short_cosine],
  ]
    .filter(([, value, bound]) => !(value >= bound))
    .map(([name, value, bound]) => `${name} is ${value.toFixed(5)}, below ${bound}`);

  const lengths = wanted.map(lengthOf);
  const bound = golden.normalize ? (golden.unit_length ?? UNIT_LENGTH) : bounds.norm;
  // A vector that has no unit length is measured by its own, or by a share of the longest where it is short.
  const floor = golden.short_length * Math.max(...lengths);
  const measure = (row) => (golden.normalize ? 1 : Math.max(lengths[row], floor));
  const off = found.find((vector, row) => !(Math.abs(lengthOf(vector) - lengths[row]) <= bound * measure(row)));
  if (off) strays.push(`a vector's length is ${lengthOf(off).toFixed(5)}, and ${bound} is what it may be off`);
  return { passed: !strays.length, texts: places.length, leastCosine: least(cosines), why: strays.join(", ") };
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** A NaN is less than any number. */
const least = (values) => values.reduce((lowest, value) => (lowest < value || Number.isNaN(lowest) ? lowest : value), 1);

const lengthOf = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

/** 1 where both are zero, as texts without a known token are; 0 where one is. */
function cosineOf(one, other) {
  const [length, wanted] = [lengthOf(one), lengthOf(other)];
  if (length === 0 && wanted === 0) return 1;
  return length === 0 || wanted === 0 ? 0 : one.reduce((sum, value, at) => sum + value * other[at], 0) / (length * wanted);
}
