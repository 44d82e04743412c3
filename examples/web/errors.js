// Errors that a person reads: one sentence that says what to do.

/** An error whose message is already that sentence. */
export class Told extends Error {}

/** The sentence for any error. */
export function sentence(error) {
  if (error instanceof Told) return error.message;
  const why = String(error?.message ?? error).split("\n")[0];
  // RangeError: an array that was too large; the others are how WebAssembly and ONNX Runtime tell it.
  if (error instanceof RangeError || /out of memory|bad_alloc|allocat|Aborted/i.test(why)) {
    return "This device ran out of memory: close other tabs, reload this page, and take a smaller file.";
  }
  return `Something went wrong that should not (${why}): reload this page.`;
}
