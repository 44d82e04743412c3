// Measures one model: what the runners and the browser's page share, so it imports nothing.

// What each kind of graph is fed: strings for "text", lists of token ids for the others.
const FEEDS = {
  text(ort, texts) {
    const bytes = new TextEncoder().encode(texts.join("\0"));
    return { text: new ort.Tensor("uint8", bytes, [bytes.length]) };
  },
  bag(ort, lists) {
    const ids = int64(lists.reduce((sum, list) => sum + list.length, 0));
    const offsets = int64(lists.length);
    let at = 0;
    lists.forEach((list, row) => {
      offsets.low[2 * row] = at;
      for (const id of list) ids.low[2 * at++] = id;
    });
    return {
      input_ids: new ort.Tensor("int64", ids.values, [ids.values.length]),
      offsets: new ort.Tensor("int64", offsets.values, [lists.length]),
    };
  },
  tokens(ort, lists) {
    const width = lists.reduce((most, list) => Math.max(most, list.length), 1);
    const ids = int64(lists.length * width);
    const mask = int64(lists.length * width);
    lists.forEach((list, row) => {
      list.forEach((id, column) => {
        const at = 2 * (row * width + column);
        ids.low[at] = id;
        mask.low[at] = 1;
      });
    });
    const dims = [lists.length, width];
    return {
      input_ids: new ort.Tensor("int64", ids.values, dims),
      attention_mask: new ort.Tensor("int64", mask.values, dims),
    };
  },
};
const GOLDEN_TEXTS_A_CALL = 64;
const FEWEST_CALLS = 20; // of one text, however slow

/** Zeros, and the same memory as int32: number i's low half is low[2 * i]. Making a BigInt of each id takes longer. */
function int64(count) {
  const values = new BigInt64Array(count);
  return { values, low: new Int32Array(values.buffer) };
}

/** A session that embeds strings or lists of ids, and looks at every number that comes out. */
export class Model {
  constructor(ort, session, graph) {
    Object.assign(this, { ort, session, feeds: FEEDS[graph] });
  }

  /** {seconds, vectors, columns}; the look at the vectors is not in the seconds. */
  async embed(items) {
    const start = performance.now();
    const { sentence_embedding: found } = await this.session.run(this.feeds(this.ort, items));
    const vectors = found.data;
    const seconds = (performance.now() - start) / 1000;
    const [rows, columns] = found.dims;
    this.columns ??= columns;
    if (found.dims.length !== 2 || rows !== items.length || columns !== this.columns) {
      throw new Error(`${items.length} texts gave vectors of shape (${found.dims.join(", ")})`);
    }
    if (!vectors.every(Number.isFinite)) throw new Error(`${items.length} texts gave a vector with NaN or infinity`);
    return { seconds, vectors, columns };
  }
}

/** The numbers that are asked for after the first vector. */
export async function measure(model, job, items) {
  const latency_ms = await latencies(model, job, items);
  const rates = await throughputs(model, job, items, latency_ms);
  const [throughput, from_ids] = typeof items[0] === "string" ? [rates, {}] : [{}, rates];
  return { latency_ms, throughput, from_ids };
}

/** {vectors, dims} of the golden items, or null where there are none. */
export async function embedGolden(model, golden) {
  if (!golden) return { vectors: null, dims: null };
  const vectors = new Float32Array(golden.length * model.columns);
  for (let at = 0; at < golden.length; at += GOLDEN_TEXTS_A_CALL) {
    const part = await model.embed(golden.slice(at, at + GOLDEN_TEXTS_A_CALL));
    vectors.set(part.vectors, at * model.columns);
  }
  return { vectors, dims: [golden.length, model.columns] };
}

/** Milliseconds of each call with one item, after the warm-up: V8 compiles the library's WebAssembly while it runs. */
async function latencies(model, job, items) {
  const found = [];
  let [calls, warm, timed] = [0, 0, 0];
  const embed = async () => (await model.embed([items[calls++ % items.length]])).seconds;
  while ((calls < job.warmup_calls || warm < job.warmup_seconds) && warm < job.most_seconds) warm += await embed();
  while (found.length < job.latency_calls && (found.length < FEWEST_CALLS || timed < job.most_seconds)) {
    const seconds = await embed();
    found.push(seconds * 1000);
    timed += seconds;
  }
  return found;
}

/** {size: texts/s}, or null for a size whose one call would take longer than most_seconds. */
async function throughputs(model, job, items, latency_ms) {
  const found = {};
  let rate = (1000 * latency_ms.length) / latency_ms.reduce((sum, each) => sum + each, 0);
  for (const size of job.batches) {
    found[size] = null;
    if (size / rate > job.most_seconds) continue;
    const chunks = Array.from({ length: Math.max(1, Math.floor(items.length / size)) }, (_, chunk) =>
      Array.from({ length: size }, (_, row) => items[(chunk * size + row) % items.length]),
    );
    await model.embed(chunks[0]);
    let calls = 0;
    let seconds = 0;
    while (calls < 2 || seconds < job.batch_seconds) {
      seconds += (await model.embed(chunks[calls++ % chunks.length])).seconds;
    }
    found[size] = rate = (calls * size) / seconds;
  }
  return found;
}
