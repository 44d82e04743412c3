// What digest.cpp prints, of the library as WebAssembly: how many texts, the digest of the bits of vectors, logits and a scan,
// and the kernels.

/** The line, of three Uint8Array: the library, the model, and texts that are joined by NUL. */
export function digestOf(library, model, texts) {
  const module = new WebAssembly.Module(library);
  const none = () => 8; // EBADF: it has no files and no output
  const wasi = Object.fromEntries(WebAssembly.Module.imports(module).map(({ name }) => [name, none]));
  const { exports: engine } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi, env: wasi });
  engine._initialize?.();

  const memory = () => new Uint8Array(engine.memory.buffer); // anew, as it moves when it grows
  const sentence = (at) => new TextDecoder().decode(memory().subarray(at, memory().indexOf(0, at)));
  const placed = (bytes) => {
    const at = engine.malloc(bytes.length + 1);
    memory().set(bytes, at);
    return at;
  };

  const handle = engine.ep_open_memory(placed(model), model.length);
  if (!handle) throw new Error(sentence(engine.ep_last_error()));
  const widths = [engine.ep_dim(handle) * 4, engine.ep_label_count(handle) * 4];
  const [vectors, logits] = widths.map((width) => engine.malloc(1024 * width + 1));
  const [scores, query] = [engine.malloc(1024 * 4), engine.malloc(widths[0] * 2)];
  let [high, low] = [0xcbf29ce4, 0x84222325]; // FNV-1a of 64 bits, in halves
  let count = 0;
  for (let begin = 0; begin <= texts.length; ) {
    let end = begin;
    for (let taken = 1; end < texts.length && (texts[end] || taken++ < 1024); ) end++;
    const input = placed(texts.subarray(begin, end));
    const answer = widths[1]
      ? engine.ep_classify(handle, input, end - begin, logits, vectors, 1024, 0, 1)
      : engine.ep_embed(handle, input, end - begin, vectors, 1024, 0, 1);
    const found = Number(answer);
    if (found < 0) throw new Error(sentence(engine.ep_last_error()));
    engine.free(input);
    // The bytes of the vectors as rows, and the first of them as the query.
    new Int16Array(engine.memory.buffer, query, widths[0]).set(new Int8Array(engine.memory.buffer, vectors, widths[0]));
    if (engine.ep_scan(vectors, found, widths[0], query, vectors, 1, scores)) throw new Error(sentence(engine.ep_last_error()));
    for (const [place, width] of [[vectors, widths[0]], [logits, widths[1]], [scores, 4]]) {
      for (const byte of memory().subarray(place, place + found * width)) {
        const product = ((low ^ byte) >>> 0) * 0x1b3; // of 0x100000001b3, whose high half moves by 40 bits
        high = (high * 0x1b3 + Math.floor(product / 2 ** 32) + ((low ^ byte) << 8)) >>> 0;
        low = product >>> 0;
      }
    }
    count += found;
    begin = end + 1;
  }
  const hex = [high, low].map((half) => half.toString(16).padStart(8, "0")).join("");
  return `${count} texts ${hex} ${sentence(engine.ep_kernels())}`;
}
