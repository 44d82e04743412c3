// Joins classify.html to its worker: texts and classifiers go in, and the labels' bars move.
import { Bars } from "./bars.js";
import { callsTo } from "./calls.js";
import { takeFiles, takeKeys } from "./gestures.js";
import { showIdeas } from "./ideas.js";
import { keepOffline } from "./offline.js";

const DEMO = "Everyday wishes";
const IDEAS = ["will I get wet on Sunday?", "bring back my cash", "my visa is gone", "the capital of France is Paris"];
const EMPTY = "Type, and the bars move.";
const at = (id) => document.getElementById(id);
const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });
const percent = (share) => share.toLocaleString("en", { style: "percent" });

const ask = callsTo(new URL("./classify_worker.js", import.meta.url));
const bars = new Bars(at("labels"));
let opened = null; // {name, engine, labels, multiLabel, threshold} of the classifier that is open
let newestOpen = 0;
let newestText = 0;

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
}

function showState(words, isAnswer = false) {
  at("state").toggleAttribute("data-answer", isAnswer);
  if (at("state").textContent !== words) at("state").textContent = words; // else it would be read out again
}

/** How the page begins: with the demo's classifier, by the engine that its address names. */
async function load() {
  at("engine").value = new URLSearchParams(location.search).get("engine") ?? at("engine").value;
  const isThere = await open(DEMO);
  keepOffline({
    note: at("fact-offline"),
    notice: at("newer"),
    button: at("renew"),
    models: isThere ? ["./classifier/text_quantized.onnx"] : [],
  });
}

/** Opens a file instead, or what is open by the chosen engine; the one before stays where that cannot be. */
async function open(name, file) {
  const own = ++newestOpen;
  const engine = at("engine").value;
  const start = performance.now();
  at("error").hidden = true;
  at("progress").hidden = false;
  at("engine").disabled = true;
  let failed = null;
  const found = await ask("load", { engine, file }).catch((error) => (failed = error) && null);
  if (own !== newestOpen) return false;
  const took = number(performance.now() - start);
  at("progress").hidden = true;
  at("engine").disabled = false;
  if (failed) fail(failed);
  else {
    opened = { ...found, name, engine };
    at("fact-model").textContent = `Classifier ${number(found.bytes / 1e6, 1)} MB, ready in ${took} ms`;
    showOpened();
  }
  at("engine").value = opened?.engine ?? engine;
  await classify();
  return !failed;
}

function showOpened() {
  const { name, labels, multiLabel, threshold } = opened;
  at("file-name").textContent = name;
  at("file-note").textContent = `${labels.length} labels${multiLabel ? ", any number of them a text" : ""}`;
  showIdeas(at("ideas"), name === DEMO ? IDEAS : [], tryOut);
  at("labels").style.setProperty("--least", threshold ?? -1); // outside of the bars where there is none
  at("least").hidden = threshold === null;
  if (threshold !== null) at("least").textContent = `The mark is at ${percent(threshold)}: below it, a label is not given.`;
}

function tryOut(words) {
  at("text").value = words;
  classify();
}

/** Shows what the box's text is; an answer that comes when the box holds another is dropped. */
async function classify() {
  const own = ++newestText;
  const text = at("text").value;
  if (!opened) return showState("There is no classifier: drop the file of one.");
  if (!text.trim()) {
    at("fact-text").textContent = "";
    bars.show(opened.labels, opened.labels.map(() => 0), []);
    return showState(EMPTY);
  }
  try {
    const found = await ask("classify", { text });
    if (!found || own !== newestText) return;
    bars.show(opened.labels, found.probabilities, found.given);
    at("fact-text").textContent = `in ${found.milliseconds.toFixed(2)} ms`;
    showState(found.given.map((place) => opened.labels[place]).join(", ") || "None of these", true);
  } catch (error) {
    if (own === newestText) fail(error);
  }
}

at("unstarted").remove();
at("text").addEventListener("input", classify);
at("engine").addEventListener("change", () => open(opened?.name ?? DEMO));
takeFiles(at("file"), (file) => open(file.name, file));
takeKeys(at("text"), classify);

const ready = load();
window.edgePotion = { ready, classify: (texts) => ask("classifyAll", { texts }) };
