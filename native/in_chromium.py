"""What digest.cpp does, in headless Chromium: in_chromium.py LIBRARY.wasm MODEL.onnx TEXTS, joined by NUL.

A page of this process's own server fetches the three, and sends back the line. Needs no package of Python's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

HERE = Path(__file__).resolve().parent
SECONDS = 300  # what takes longer hangs
# In a worker, as a page may not compile so much at once.
PAGE = b"""<!doctype html><script type="module">
const worker = new Worker("/worker.mjs", { type: "module" });
worker.onmessage = ({ data }) => fetch("/", { method: "POST", body: data });
worker.onerror = ({ message }) => fetch("/", { method: "POST", body: `error: ${message}` });
</script>"""
WORKER = b"""import { digestOf } from "/digest_of.mjs";
const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const all = await Promise.all(["/library", "/model", "/texts"].map(read));
try {
  postMessage(digestOf(...all));
} catch (error) {
  postMessage(`error: ${error.message}`);
}"""


def digest(chromium: str, library: str, model: str, texts: str) -> str:
    """The line."""
    names = {"/library": library, "/model": model, "/texts": texts}
    held = {path: ("application/octet-stream", Path(name).read_bytes()) for path, name in names.items()}
    held["/"] = ("text/html", PAGE)
    held["/worker.mjs"] = ("text/javascript", WORKER)
    held["/digest_of.mjs"] = (
        "text/javascript",
        Path(__file__).with_name("tests").joinpath("digest_of.mjs").read_bytes(),
    )
    said: Queue[str] = Queue()

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = held.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in held else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Files) as server, tempfile.TemporaryDirectory() as profile:
        Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        with subprocess.Popen(
            [chromium, *options, f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser:
            try:
                return said.get(timeout=SECONDS)
            except Empty:
                return f"error: no answer within {SECONDS} s"
            finally:
                browser.terminate()
                browser.wait()
                server.shutdown()


if __name__ == "__main__":
    line = digest(*sys.argv[1:])
    print(line)
    sys.exit(line.startswith("error"))
