// Shows lines with their scores, and takes the arrow keys through them.

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export class Results {
  #list;
  #box;

  /** `box` is where the arrow keys come from, and go back to. */
  constructor(list, box) {
    this.#list = list;
    this.#box = box;
    box.addEventListener("keydown", (event) => this.#move(event, -1));
    list.addEventListener("keydown", (event) => this.#move(event, [...list.children].indexOf(event.target)));
  }

  /** hits: [{number, text, more, score}], without a score where nothing was searched. */
  show(hits) {
    const items = this.#list.children;
    const focused = [...items].indexOf(document.activeElement);
    this.#list.replaceChildren(...hits.map(item));
    items[0]?.setAttribute("tabindex", "0");
    // An answer may come when the arrow keys are among the lines already.
    if (focused >= 0) (items[Math.min(focused, items.length - 1)] ?? this.#box).focus();
  }

  #move(event, place) {
    const items = this.#list.children;
    const ends = place < 0 ? {} : { Home: 0, End: items.length - 1 };
    const next = ends[event.key] ?? place + (STEPS[event.key] ?? NaN);
    if (Number.isNaN(next) || !items.length || event.isComposing) return;
    event.preventDefault();
    if (next < 0) this.#box.focus();
    else items[Math.min(next, items.length - 1)].focus();
  }
}

function item({ number, text, more, score }) {
  const words = element("p", "text", more ? `${text}…` : text);
  words.dir = "auto";
  const result = document.createElement("li");
  result.tabIndex = -1;
  result.append(words, element("span", "number", `line ${number.toLocaleString("en")}`));
  if (score !== undefined) {
    const bar = element("span", "bar", "");
    bar.style.setProperty("--share", Math.max(0, Math.min(1, score)));
    const value = element("span", "score", score.toFixed(2));
    value.append(bar);
    result.append(value);
  }
  return result;
}

/** What a file holds becomes text here, and never markup. */
function element(name, kind, words) {
  const made = document.createElement(name);
  made.className = kind;
  made.textContent = words;
  return made;
}
