// Shows words to try as buttons.

/** Each of `ideas` in `list`; use(words) when it is pressed. */
export function showIdeas(list, ideas, use) {
  const item = (words) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", () => use(words));
    const made = document.createElement("li");
    made.append(button);
    return made;
  };
  list.replaceChildren(...ideas.map(item));
  list.hidden = !ideas.length;
}
