// What keys and files do on a page: slash and Escape for its box, and files that are chosen or dropped.

/** Slash goes to the box, and Escape clears it, wherever the focus is. */
export function takeKeys(box, cleared) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, input:not([type=file])");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.select();
      box.focus();
    } else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      box.value = "";
      box.focus();
      cleared();
    }
  });
}

/** Opens the file that `input` has, and any that is dropped on the page. */
export function takeFiles(input, open) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) open(file);
    input.value = ""; // so that the same file can be chosen again, when it has changed
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault(); // else the browser would leave this page for the file
      const leaves = name === "drop" || (name === "dragleave" && !event.relatedTarget);
      document.body.classList.toggle("dragging", !leaves && event.dataTransfer.types.includes("Files"));
      if (name === "drop" && event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
    });
  }
}
