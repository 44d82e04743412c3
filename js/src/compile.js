// The engine's file -> a module that is ready to run.
import { asBytes, read } from "./read.js";

const OURS = new URL("../dist/edge_potion.wasm", import.meta.url);
const MAGIC = [0, 0x61, 0x73, 0x6d]; // what a WebAssembly file begins with

/** The module of a place or of bytes; one that is compiled already is taken as it is. */
export async function compile(wasm = OURS) {
  if (typeof WebAssembly === "undefined") {
    throw new Error("there is no WebAssembly here, which the engine needs: allow it, or use another browser");
  }
  if (wasm instanceof WebAssembly.Module) return wasm;
  const bytes = asBytes(wasm) ?? (await read(wasm)).bytes;
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) {
    const found = asBytes(wasm) ? "the bytes given are not the engine" : `the engine is not at ${wasm}`;
    throw new Error(`${found}: name the place of edge_potion.wasm as \`wasm\` (edge-potion's README: Bundlers)`);
  }
  return WebAssembly.compile(bytes).catch((error) => {
    const needed = "it needs WebAssembly with SIMD (Chrome 91, Firefox 89, Safari 16.4, Node 18)";
    throw new Error(`the engine cannot be compiled (${error.message.split("\n")[0]}): ${needed}`, { cause: error });
  });
}
