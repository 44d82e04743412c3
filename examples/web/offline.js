// Has the service worker keep the page for when there is no network, and offers a newer version when there is one.

/**
 * note tells that all is kept, `models` among it; notice with its button offers a newer version. Without a service
 * worker: nothing.
 */
export async function keepOffline({ note, notice, button, models }) {
  const container = navigator.serviceWorker;
  if (!container) return; // not over plain http, but from this machine
  const registration = await container.register("./sw.js").catch(() => null);
  if (!registration) return;
  keepModels(container, models).then((kept) => kept && (note.textContent = "Works offline"));

  const offer = () => (notice.hidden = !registration.waiting);
  const watch = () => registration.installing?.addEventListener("statechange", offer);
  registration.addEventListener("updatefound", watch);
  offer();
  watch();
  button.addEventListener("click", () => {
    container.addEventListener("controllerchange", () => location.reload());
    registration.waiting?.postMessage("take over");
  });
}

/** Whether all of them are kept: the service worker keeps what it sees fetched, and is there after the model. */
async function keepModels(container, models) {
  const taken = new Promise((resolve) => container.addEventListener("controllerchange", resolve, { once: true }));
  await container.ready;
  if (!container.controller) await taken; // it takes pages over that were there before it
  const answers = await Promise.all(models.map((file) => fetch(file).catch(() => null)));
  return answers.every((answer) => answer?.ok);
}
