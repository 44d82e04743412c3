// What digest.cpp prints, of the library as WebAssembly: how many texts, the digest of their vectors' bits, and the kernels.

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
  const width = engine.ep_dim(handle) * 4;
  const vectors = engine.malloc(1024 * width);
  let [high, low] = [0xcbf29ce4, 0x84222325]; // FNV-1a of 64 bits, in halves
  let count = 0;
  for (let begin = 0; begin <= texts.length; ) {
    let end = begin;
    for (let taken = 1; end < texts.length && (texts[end] || taken++ < 1024); ) end++;
    const input = placed(texts.subarray(begin, end));
    const found = Number(engine.ep_embed(handle, input, end - begin, vectors, 1024, 0, 1));
    if (found < 0) throw new Error(sentence(engine.ep_last_error()));
    engine.free(input);
    for (const byte of memory().subarray(vectors, vectors + found * width)) {
      const product = ((low ^ byte) >>> 0) * 0x1b3; // of 0x100000001b3, whose high half moves by 40 bits
      high = (high * 0x1b3 + Math.floor(product / 2 ** 32) + ((low ^ byte) << 8)) >>> 0;
      low = product >>> 0;
    }
    count += found;
    begin = end + 1;
  }
  const hex = [high, low].map((half) => half.toString(16).padStart(8, "0")).join("");
  return `${count} texts ${hex} ${sentence(engine.ep_kernels())}`;
}
