// What all runners need around a measurement: the job's files, the packages, a process's peak memory, the last line.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = dirname(fileURLToPath(import.meta.url));
export const PACKAGES = join(HERE, "node_modules");

const json = (file) => JSON.parse(readFileSync(file, "utf8"));

/** {job, items, golden}: lists of ids for the graphs that start from them, else strings. */
function readJob(file) {
  const job = json(file);
  if (job.graph === "bag" || job.graph === "tokens") {
    return { job, items: json(job.ids), golden: job.golden_ids && json(job.golden_ids) };
  }
  // In the text graph a NUL would part a text in two.
  const fed = (text) => (job.graph === "text" ? text.replaceAll("\0", "") : text);
  return { job, items: json(job.texts), golden: job.golden && json(job.golden).map(fed) };
}

/** The most memory that processes ever held (VmHWM), summed; null where /proc does not tell. */
export function peakBytes(...processes) {
  try {
    const kilobytes = processes.map((id) => /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]);
    return kilobytes.reduce((sum, each) => sum + 1024 * Number(each), 0);
  } catch {
    return null;
  }
}

/** An error's first line: Playwright puts logs into the others. */
export const oneLine = (error) => String(error?.message ?? error).trim().split("\n")[0];

/** Runs the job that the command line names, and prints what run(work) comes to, or why it came to nothing. */
export async function runJob(packages, run) {
  const lacking = packages.find((name) => !existsSync(join(PACKAGES, name)));
  const result = lacking
    ? { absent: `${lacking} is not installed: npm install in ${HERE}` }
    : await Promise.resolve(process.argv[2])
        .then(readJob)
        .then(run)
        .catch((error) => ({ failed: oneLine(error) }));
  console.log(JSON.stringify(result));
}
