// Classifies texts with transformers.js: node classify.mjs FOLDER TEXTS.json [OPTIONS.json]; what the pipeline gives, as JSON.
import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";

import { env, pipeline } from "@huggingface/transformers";

const [folder, texts, options = "{}"] = process.argv.slice(2);
env.allowRemoteModels = false;
const classify = await pipeline("text-classification", resolve(folder), { dtype: "q8" });
console.log(JSON.stringify(await classify(JSON.parse(readFileSync(texts, "utf8")), JSON.parse(options))));
