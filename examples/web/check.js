// Holds this device's vectors to those in the model's golden.json.
import { compare } from "./edge-potion/src/check.js";
import { Told } from "./errors.js";

const FILE = "model/golden.json";

/** {passed, texts, leastCosine, why} of a model. */
export async function check(model) {
  const answer = await fetch(new URL(FILE, import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Told(`${FILE} is missing: copy golden.json from the model's folder, and try again.`);
  const golden = await answer.json().catch(() => null);
  // By whichever engine the page runs.
  const engine = { dim: model.columns, precision: "int8", embed: (texts) => model.embed(texts) };
  return compare(golden, engine).catch(({ message }) => {
    throw new Told(`${FILE} is no use (${message}): copy it from the model's folder, and try again.`);
  });
}
