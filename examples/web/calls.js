// A page's calls to its worker, at both ends: a message each way, {id, kind, ...words} and {id, value or error}.
import { sentence } from "./errors.js";

/** ask(kind, words, tell) of a worker: a promise; an error's message is a sentence for people. */
export function callsTo(url) {
  const worker = new Worker(url, { type: "module" });
  const waiting = new Map();
  let sent = 0;
  let broken = null; // why the worker answers nothing any more

  worker.addEventListener("message", ({ data: { id, value, error, progress } }) => {
    const { resolve, reject, tell } = waiting.get(id);
    if (progress) return tell(progress);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(value);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    broken = new Error("This page's worker cannot run: update the browser, or copy all files of the page again.");
    for (const { reject } of waiting.values()) reject(broken);
  });

  /** `tell` hears how far it is. */
  return (kind, words = {}, tell = null) => {
    if (broken) return Promise.reject(broken);
    const id = ++sent;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject, tell });
      worker.postMessage({ id, kind, ...words });
    });
  };
}

/** In the worker: has answers[kind](message) answer each. */
export function answerCalls(answers) {
  self.addEventListener("message", async ({ data }) => {
    try {
      postMessage({ id: data.id, value: await answers[data.kind](data) });
    } catch (error) {
      postMessage({ id: data.id, error: sentence(error) });
    }
  });
}

/** In the worker: lets messages in that came meanwhile. */
export const nextTurn = () => new Promise((resolve) => setTimeout(resolve));
