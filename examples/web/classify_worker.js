// The worker of classify.html: keeps the classifier, and says what labels texts have. One answer a message.
import { answerCalls, nextTurn } from "./calls.js";
import { Told } from "./errors.js";
import { download, Model } from "./model.js";

const DEMO = "classifier/text_quantized.onnx";
const USUAL_THRESHOLD = 0.5; // from which on one of several labels is given

let source = null; // {bytes, name} of the file that is open
let model = null;
let newestLoad = 0;
let newestText = 0;

answerCalls({
  /** Opens a file, or by another engine the one that is open, at first the demo's; null where another came. */
  async load({ id, engine, file }) {
    newestLoad = id;
    const found = file ? await bytesOf(file) : (source ?? { bytes: await download(DEMO), name: DEMO });
    const opened = await Model.open(engine, found.bytes, found.name);
    if (id !== newestLoad) return null;
    if (!opened.labels.length) {
      throw new Told(`${found.name} gives no labels: take onnx/text_quantized.onnx of a classifier's bundle.`);
    }
    [source, model] = [found, opened];
    const { labels, multiLabel, threshold } = model;
    return { bytes: found.bytes.length, labels, multiLabel, threshold };
  },

  /** {probabilities, given, milliseconds} of a text; null where there is no model yet, or a newer text. */
  async classify({ id, text }) {
    newestText = id;
    await nextTurn(); // a newer text may be waiting: who types fast needs the last one's answer
    if (id !== newestText || !model) return null;
    const start = performance.now();
    const [found] = await model.classify([text]);
    const milliseconds = performance.now() - start;
    return { probabilities: found.probabilities, given: givenOf(found), milliseconds };
  },

  async classifyAll({ texts }) {
    return model.classify(texts);
  },
});

/** The numbers of the labels that a text is given: one at most, unless texts may have several. */
function givenOf({ label, probabilities }) {
  const { labels, multiLabel, threshold } = model;
  const isGiven = (name, number) =>
    multiLabel ? probabilities[number] >= Math.fround(threshold ?? USUAL_THRESHOLD) : name === label;
  return [...labels.keys()].filter((number) => isGiven(labels[number], number));
}

async function bytesOf(file) {
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Told(`${file.name} cannot be read: see that it is a file, not a folder, and drop it again.`);
  });
  return { bytes: new Uint8Array(bytes), name: file.name };
}
