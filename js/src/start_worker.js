// The engine in a worker, so that a page stays awake during long work: the same calls, answered later.

/** What Engine.open gives, at work in worker.js. */
export async function startWorker(module, bytes) {
  const worker = started();
  const waiting = new Map();
  let asked = 0;
  let ended = null; // why nothing is answered any more
  const end = (why) => {
    worker.terminate();
    ended = new Error(why);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  const ask = (words) =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      waiting.set(++asked, { resolve, reject });
      worker.postMessage({ id: asked, ...words });
    });
  worker.addEventListener("message", ({ data: { id, value, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    end(`the worker failed (${event.message ?? "its file could not be loaded"})`);
  });
  try {
    const facts = await ask({ module, bytes });
    return {
      ...facts,
      embed: (texts) => ask({ texts }),
      classify: (texts) => ask({ texts, classify: true }),
      close: () => end("the model is closed"),
    };
  } catch (error) {
    end(error.message);
    throw error;
  }
}

function started() {
  if (typeof Worker === "undefined") throw new Error("there are no Web Workers here: load without `worker`");
  try {
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    const otherwise = "serve edge-potion from the page's own host, or load without `worker`";
    throw new Error(`the worker cannot start (${error.message}): ${otherwise}`, { cause: error });
  }
}
