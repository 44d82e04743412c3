// What digest.cpp does, in Node: node digest.mjs LIBRARY.wasm MODEL.onnx TEXTS, joined by NUL
import { readFileSync } from "node:fs";

import { digestOf } from "./digest_of.mjs";

console.log(digestOf(...process.argv.slice(2).map((path) => readFileSync(path))));
