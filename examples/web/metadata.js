// Reads what an ONNX file says of itself: the strings of its metadata_props, without the rest of it.

const HEAD_FORMAT = "1"; // that is known here
const METADATA = 14; // ModelProto.metadata_props: a key (1) and a value (2)
const [VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES] = [0, 1, 2, 5]; // how protobuf writes a field

/** {labels, multiLabel, threshold} of a classifier's file; no labels where it is none, or no ONNX file. */
export function answersOf(bytes) {
  const facts = {};
  for (const [field, entry] of fieldsOf(bytes)) {
    if (field !== METADATA) continue;
    const { 1: key, 2: value } = Object.fromEntries(fieldsOf(entry));
    if (key && value) facts[text(key)] = text(value);
  }
  if (facts.head_format !== HEAD_FORMAT) return { labels: [], multiLabel: false, threshold: null };
  const [labels, multiLabel, threshold] = ["labels", "multi_label", "threshold"].map((key) => JSON.parse(facts[key]));
  return { labels, multiLabel, threshold };
}

const text = (bytes) => new TextDecoder().decode(bytes);

/** [number, bytes] of a message's fields with a length; it ends where the bytes are none of a message. */
function* fieldsOf(bytes) {
  let at = 0;
  /** A whole number of seven bits a byte, the lowest first. */
  const varint = () => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === VARINT) varint();
    else if (kind === EIGHT_BYTES) at += 8;
    else if (kind === FOUR_BYTES) at += 4;
    else if (kind === LENGTH) {
      const length = varint();
      if (!(at + length <= bytes.length)) return;
      yield [field, bytes.subarray(at, at + length)];
      at += length;
    } else return;
  }
}
