// Shows labels with a bar each, as long as the label is likely.

const MOST = 24; // more are not seen at once: then the likeliest, in their order

export class Bars {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** labels: their names; shares: (C,) how likely each is; given: the numbers of those that are the answer. */
  show(labels, shares, given) {
    const numbers = [...labels.keys()];
    const places = numbers.length > MOST ? numbers.sort((a, b) => shares[b] - shares[a]).slice(0, MOST) : numbers;
    while (this.#list.children.length > places.length) this.#list.lastChild.remove();
    while (this.#list.children.length < places.length) this.#list.append(item());
    // A label keeps its element from text to text, so that its bar moves.
    places.forEach((number, place) => fill(this.#list.children[place], labels[number], shares[number], given.includes(number)));
  }
}

function item() {
  const made = document.createElement("li");
  for (const kind of ["name", "bar", "share"]) {
    const part = document.createElement("span");
    part.className = kind;
    made.append(part);
  }
  return made;
}

/** What a file holds becomes text here, and never markup. */
function fill(element, name, share, isGiven) {
  const [words, bar, number] = element.children;
  words.textContent = name;
  words.dir = "auto";
  bar.style.setProperty("--share", share);
  number.textContent = share.toLocaleString("en", { style: "percent" });
  element.toggleAttribute("data-given", isGiven);
}
