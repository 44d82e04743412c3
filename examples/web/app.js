// Joins the page to its worker: files and queries go in, and what comes back is shown.
import { callsTo } from "./calls.js";
import { takeFiles, takeKeys } from "./gestures.js";
import { showIdeas } from "./ideas.js";
import { keepOffline } from "./offline.js";
import { Results } from "./results.js";

const IDEAS = ["my bread did not rise", "saving money", "sent off the pitch", "sunlight"];
const at = (id) => document.getElementById(id);
const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });
const lines = (count) => (count === 1 ? "1 line" : `${number(count)} lines`);

const ask = callsTo(new URL("./worker.js", import.meta.url));
const results = new Results(at("results"), at("query"));
let running = null; // the engine's name
let opened = null; // {file, ideas, lines}: the file that is searched
let newestSearch = 0;
let newestOpen = 0;
let idleState = "Ready for a text.";

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
}

function showState(words) {
  if (at("state").textContent !== words) at("state").textContent = words; // else it would be read out again
}

function showBusy(busy) {
  at("progress").hidden = !busy;
  at("progress").removeAttribute("value");
  at("stop").hidden = true;
}

function showProgress({ done, all, share }) {
  at("progress").value = share;
  at("stop").hidden = false;
  at("file-note").textContent = `${number(done)} of ${lines(all)} read`;
}

/** How the page begins: by the engine that its address names, as in ?engine=onnxruntime-web. */
async function load() {
  at("engine").value = new URLSearchParams(location.search).get("engine") ?? at("engine").value;
  try {
    await use(at("engine").value);
    at("check").disabled = at("engine").disabled = false;
    if (!newestOpen) {
      showBusy(false);
      showState(idleState);
    }
    const models = ["./model/text_quantized.onnx", "./model/golden.json"];
    keepOffline({ note: at("fact-offline"), notice: at("newer"), button: at("renew"), models });
  } catch (error) {
    fail(error);
    showBusy(false);
    idleState = "There is no model to search with.";
    showState(idleState);
  }
}

async function use(engine) {
  const start = performance.now();
  const { bytes } = await ask("load", { engine });
  const took = number(performance.now() - start);
  at("fact-model").textContent = `Model ${number(bytes / 1e6, 1)} MB, ready in ${took} ms`;
  running = engine;
}

/** Takes the engine that was chosen, and reads the open file again, so that its lines a second can be compared. */
async function change() {
  at("error").hidden = true;
  at("engine").disabled = true;
  try {
    await use(at("engine").value);
    at("checked").textContent = ""; // that was the other one
    delete at("checked").dataset.passed;
    if (opened) await open(opened.file, opened.ideas);
  } catch (error) {
    fail(error);
  }
  at("engine").value = running;
  at("engine").disabled = false;
}

/** Reads a file; the one before stays if this one is no text, and is forgotten if another comes meanwhile. */
async function open(file, ideas = []) {
  const own = ++newestOpen;
  at("error").hidden = true;
  at("file-name").textContent = file.name;
  at("file-note").textContent = "is being read";
  showBusy(true);
  showState(`Reading ${file.name}…`);
  let failed = null;
  const tell = (progress) => own === newestOpen && showProgress(progress);
  const found = await ask("open", { file }, tell).catch((error) => (failed = error) && null);
  if (own !== newestOpen) return;
  showBusy(false);
  if (failed) fail(failed);
  if (found) {
    opened = { file, ideas, lines: found.lines };
    at("fact-lines").textContent = `${lines(found.lines)}, ${number(found.perSecond)} a second`;
    showIdeas(at("ideas"), ideas, seek);
    if (matchMedia("(pointer: fine)").matches) at("query").focus(); // elsewhere a keyboard would come up
  }
  at("file-name").textContent = opened?.file.name ?? "No file yet";
  at("file-note").textContent = opened ? lines(opened.lines) : "Drop a text file here: each line is one text.";
  if (!opened) showState(idleState);
  await search();
}

function seek(words) {
  at("query").value = words;
  search();
}

/** Shows what the box asks for; an answer that comes when the box asks for something else is dropped. */
async function search() {
  const own = ++newestSearch;
  const query = at("query").value;
  try {
    const found = await ask("search", { query });
    if (!found || own !== newestSearch) return;
    const { hits, all, milliseconds, known } = found;
    results.show(known === false ? [] : hits);
    const isSearch = milliseconds !== undefined;
    at("fact-query").textContent = isSearch ? `in ${milliseconds.toFixed(1)} ms` : "";
    if (known === false) showState("The model knows no word of this: try other ones.");
    else if (isSearch) showState(`The nearest of ${lines(all)}, best first`);
    else showState(`The first of ${lines(all)}: type to search`);
  } catch (error) {
    if (own === newestSearch) fail(error);
  }
}

async function check() {
  at("check").disabled = true;
  at("checked").textContent = "Checking…";
  const found = await ask("check").catch((error) => ({ error }));
  at("check").disabled = false;
  at("checked").dataset.passed = found.passed ?? false;
  if (found.error) at("checked").textContent = `Not checked. ${found.error.message}`;
  else {
    const seen = `${found.texts} texts, least cosine ${found.leastCosine.toFixed(5)}`;
    at("checked").textContent = found.passed
      ? `Passed: ${seen}.`
      : `Failed: ${seen}; ${found.why}. Update the browser, or copy the model again.`;
  }
  return found;
}

async function trySample() {
  const answer = await fetch("./sample.txt").catch(() => null);
  if (!answer?.ok) return fail(new Error("sample.txt is missing: put any text of that name beside this page."));
  await open(new File([await answer.blob()], "sample.txt"), IDEAS);
}

at("unstarted").remove();
at("query").addEventListener("input", search);
at("sample").addEventListener("click", trySample);
at("check").addEventListener("click", check);
at("engine").addEventListener("change", change);
at("stop").addEventListener("click", () => ask("stop"));
takeFiles(at("file"), open);
takeKeys(at("query"), search);

const ready = load();
window.edgePotion = { ready, check, embed: (texts) => ask("embed", { texts }) };
if (location.hash === "#check") check();
