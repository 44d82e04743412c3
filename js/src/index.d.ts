/** Opens a model: the URL of its `onnx/text_quantized.onnx`, in Node, Deno and Bun a path too, or that file's bytes. */
export function load(model: string | URL | ArrayBuffer | Uint8Array, options?: Options): Promise<Model>;

export interface Options {
  /** Called as the model comes; `total` is 0 where the server does not tell. Not called for files and bytes. */
  onProgress?(progress: { loaded: number; total: number }): void;
  /** Keep the model in the browser's Cache API, and take it from there the next time. Default true. */
  cache?: boolean;
  /** Work in a Web Worker, so that a page stays awake. Default false. */
  worker?: boolean;
  /** Where the engine is, if not in this package: the place, bytes or module of `edge_potion.wasm`. */
  wasm?: string | URL | ArrayBuffer | Uint8Array | WebAssembly.Module;
}

export interface Model {
  /** How many numbers a vector has. */
  readonly dim: number;
  /** Where a text is cut, in tokens; -1 for never. */
  readonly maxTokens: number;
  /** The vector of a text: zeros where it has no word that the model knows. */
  embed(text: string): Promise<Float32Array>;
  /** The vectors of texts, in order, as parts of one array of numbers. */
  embed(texts: readonly string[]): Promise<Float32Array[]>;
  /** The names of a classifier's labels; empty where the model is none. */
  readonly labels: readonly string[];
  /** What a classifier says of a text. */
  classify(text: string): Promise<Decision>;
  /** What it says of each of many. */
  classify(texts: readonly string[]): Promise<Decision[]>;
  /** The cosine of two texts or vectors, -1 to 1; 0 where one has no word that the model knows. */
  similarity(one: string | Float32Array, other: string | Float32Array): Promise<number>;
  /** The cosine of a text or vector with each of many. */
  similarity(one: string | Float32Array, others: readonly string[] | readonly Float32Array[]): Promise<number[]>;
  /** Whether this device computes what the model's makers did: by its golden.json, or the place of that. */
  check(golden: string | URL | object): Promise<Check>;
  /** Ends the worker, and lets go of the memory. */
  close(): void;
}

export interface Decision {
  /** The likeliest label; null where it is below the classifier's threshold: none of these. */
  label: string | null;
  /** Of the likeliest label. */
  probability: number;
  /** Of each label, in the order of `labels`. They add up to 1, but where a text may have several labels. */
  probabilities: Float32Array;
}

export interface Check {
  passed: boolean;
  /** How many were compared. */
  texts: number;
  leastCosine: number;
  /** What strays; empty where nothing does. */
  why: string;
}

/** The cosine of two vectors of one length; 0 where one is zero. */
export function cosine(one: ArrayLike<number>, other: ArrayLike<number>): number;
