// The engine of the page: edge-potion's package, which serve.py puts beside these files.
import { load } from "./edge-potion/src/index.js";
import { Told } from "./errors.js";

/** {columns, embed, labels, classify}: embed(texts) gives an array of vectors; classify(texts), where there are labels, one of decisions. */
export async function open(bytes, file) {
  const model = await load(bytes).catch(({ message }) => {
    const [why] = message.split("\n");
    if (/^the model cannot be opened/.test(why)) {
      throw new Told(`${file}: ${why}. Copy it again from the model's folder, and reload.`);
    }
    throw new Told(`The engine cannot start: ${why}. Copy all of the page again, or update the browser, and reload.`);
  });
  return {
    columns: model.dim,
    embed: (texts) => model.embed(texts),
    labels: model.labels,
    classify: (texts) => model.classify(texts),
  };
}
