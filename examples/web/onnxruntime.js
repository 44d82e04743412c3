// The other engine, to compare: the same file in onnxruntime-web.
import { Told } from "./errors.js";
import { answersOf } from "./metadata.js";

const LIBRARY = new URL("./vendor/", import.meta.url).href;

/** {columns, embed, classify}: embed(texts) gives an array of vectors; a classifier's classify(texts), of decisions. */
export async function open(bytes, file) {
  const { ort, session } = await start(bytes, file);
  if (!session.inputNames.includes("text")) {
    throw new Told(`${file} takes no text: take the file of that name from an edge-potion bundle, and reload.`);
  }
  let last = Promise.resolve(); // the session runs no two calls at once
  const run = (texts) => {
    const found = last.then(() => call(ort, session, texts));
    last = found.catch(() => {});
    return found;
  };
  const embed = async (texts) => rowsOf((await run(texts)).sentence_embedding);
  const { labels } = answersOf(bytes);
  const classify = async (texts) => {
    const { probabilities, label } = await run(texts);
    return rowsOf(probabilities).map((each, row) => ({
      label: labels[Number(label.data[row])] ?? null, // -1 for none of them
      probabilities: each,
    }));
  };
  const [{ length: columns }] = await embed([""]);
  return { columns, embed, classify };
}

async function start(bytes, file) {
  const ort = await import(`${LIBRARY}ort.wasm.min.mjs`).catch(() => {
    throw new Told("onnxruntime-web is missing: put its files into vendor/, as README.md says, and reload this page.");
  });
  ort.env.wasm.wasmPaths = LIBRARY;
  ort.env.wasm.numThreads = 1; // more need headers that not every web host sends, and gain little on small calls
  try {
    // Shapes change with every call, so a plan of memory for each would never be used again.
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3, enableMemPattern: false };
    return { ort, session: await ort.InferenceSession.create(bytes, options) };
  } catch (error) {
    if (/SIMD/.test(error.message)) {
      throw new Told("This browser's WebAssembly is too old for the model (it lacks SIMD): update the browser.");
    }
    if (/no available backend/.test(error.message) && !/memory|allocat/i.test(error.message)) {
      throw new Told("onnxruntime-web cannot start: put all of its files into vendor/, as README.md says, and reload.");
    }
    if (/protobuf|ModelProto|deserializ|opset/i.test(error.message)) {
      throw new Told(`${file} is damaged or not an ONNX file: copy it again from the model's folder, and reload.`);
    }
    throw error;
  }
}

function call(ort, session, texts) {
  const bytes = new TextEncoder().encode(texts.join("\0")); // NUL parts texts
  const text = new ort.Tensor("uint8", bytes, [bytes.length]);
  return session.run({ text });
}

/** The rows of a table. */
const rowsOf = ({ dims: [rows, width], data }) =>
  Array.from({ length: rows }, (_, row) => data.subarray(row * width, (row + 1) * width));
