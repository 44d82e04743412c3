// Holds the vectors of this device to those in a model's golden.json, by its bounds for the model's precision.

const FORMAT = 1;
const UNIT_LENGTH = 1e-3; // by how much a unit length may be off, where golden.json does not tell
const ZERO_LENGTH = 0.01; // a shorter vector of unit length counts as zero

/** {passed, texts, leastCosine, why} of an engine. */
export async function compare(golden, engine) {
  if (golden?.format !== FORMAT) throw new Error(`golden.json is damaged or of another format than ${FORMAT}`);
  const bounds = golden.tolerance[engine.precision];
  if (!bounds) throw new Error(`golden.json belongs to another model: it says nothing of ${engine.precision}`);
  const width = golden.vectors[0].length;
  if (width !== engine.dim) {
    throw new Error(`golden.json belongs to another model: its vectors have ${width} numbers, not ${engine.dim}`);
  }
  // Older files hold texts with NUL, which parts texts; every check leaves them out.
  const places = golden.texts.flatMap((text, place) => (text.includes("\0") ? [] : [place]));
  const vectors = await engine.embed(places.map((place) => golden.texts[place]));
  const pairs = places.map((place, row) => {
    const [found, wanted] = [vectors.subarray(row * width, (row + 1) * width), golden.vectors[place]];
    const [length, wantedLength] = [lengthOf(found), lengthOf(wanted)];
    const cosine = cosineOf(found, wanted, length, wantedLength, golden.normalize);
    return { found, wanted, length, wantedLength, cosine, tokens: golden.known_tokens[place] };
  });

  const cosines = (some) => pairs.filter(some).map(({ cosine }) => cosine);
  const lowest = [
    ["the median cosine", median(cosines(() => true)), bounds.median_cosine],
    ["a cosine", least(cosines(({ tokens }) => tokens >= golden.short_text)), bounds.cosine],
    ["a short text's cosine", least(cosines(({ tokens }) => tokens < golden.short_text)), bounds.short_cosine],
  ].filter(([, value, bound]) => bound != null && !(value >= bound));
  const lengthBound = golden.normalize ? (golden.unit_length ?? UNIT_LENGTH) : bounds.norm;
  const highest = [
    ["a length", most(lengthStrays(pairs, golden)), lengthBound],
    ["a number", most(differences(pairs, golden)), bounds.max_abs_diff],
  ].filter(([, value, bound]) => bound != null && !(value <= bound));
  const why = [
    ...lowest.map(([name, value, bound]) => `${name} is ${value.toFixed(5)}, below ${bound}`),
    ...highest.map(([name, value, bound]) => `${name} is off by ${value.toPrecision(2)}, above ${bound}`),
  ].join(", ");
  return { passed: !why, texts: pairs.length, leastCosine: least(cosines(() => true)), why };
}

/** By how much each length is off; without unit length as a share of what it should be, or of the longest. */
function lengthStrays(pairs, golden) {
  const floor = golden.short_length * Math.max(...pairs.map(({ wantedLength }) => wantedLength));
  const share = ({ wantedLength }) => (golden.normalize ? 1 : Math.max(wantedLength, floor));
  return pairs.map((pair) => Math.abs(pair.length - pair.wantedLength) / share(pair));
}

/** Each text's largest difference of a number; a sum of many rows may be off by more. */
function differences(pairs, golden) {
  const largest = golden.normalize ? 1 : most(pairs.flatMap(({ wanted }) => most(wanted.map(Math.abs))));
  return pairs.map(({ found, wanted, tokens }) => {
    const difference = most(wanted.map((value, at) => Math.abs(found[at] - value)));
    return difference / (largest * Math.max(1, tokens / golden.long_text));
  });
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// A NaN stays what it is, and is within no bound.
const least = (values) => values.reduce((one, other) => Math.min(one, other), 1);
const most = (values) => values.reduce((one, other) => Math.max(one, other), 0);

const lengthOf = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

/** 1 where both are zero, as texts without a known token are; 0 where one is. */
function cosineOf(found, wanted, length, wantedLength, normalize) {
  if (length === 0 && wantedLength === 0) return 1;
  if (normalize && wantedLength > 0 && length < ZERO_LENGTH && wantedLength < ZERO_LENGTH) return 1;
  if (length === 0 || wantedLength === 0) return 0;
  return found.reduce((sum, value, at) => sum + value * wanted[at], 0) / (length * wantedLength);
}
