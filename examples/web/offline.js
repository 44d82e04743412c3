// Has the service worker keep the page for when there is no network, and offers a newer version when there is one.

/** note tells that all is kept; notice with its button offers a newer version. Without a service worker: nothing. */
export async function keepOffline({ note, notice, button }) {
  const container = navigator.serviceWorker;
  if (!container) return; // not over plain http, but from this machine
  const registration = await container.register("./sw.js").catch(() => null);
  if (!registration) return;
  container.ready.then(() => (note.textContent = "Works offline"));

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
