"""Serves the pages, their engines and models to this machine alone, or copies them for any web host."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
HEADERS = {
    "Cache-Control": "no-cache",  # kept, and asked for again: what has changed is seen at once
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",  # for the workers, too
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",  # with the line above: a clock that goes by microseconds
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CHECKOUT = HERE.parents[1]
PACKAGE, ORT = HERE / "node_modules" / "edge-potion", HERE / "node_modules" / "onnxruntime-web" / "dist"
VENDOR = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WHERE_FROM = {
    "edge-potion": "build it with make wasm in a checkout, or name edge-potion's npm package with --package",
    "classifier": "export a classifier with --quantize int8, and name its bundle with --classifier",
    "model": "make it with: edge-potion export MODEL --quantize int8 --out BUNDLE, and name it with --bundle",
    "vendor": "run npm install in examples/web, or name onnxruntime-web's dist folder with --ort",
}
SERVICE_WORKER, VERSION = "sw.js", "by hand: 1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="of edge-potion export; by default the built-in")
    parser.add_argument("--classifier", type=Path, metavar="FOLDER", help="likewise, of a classifier; else the demo's")
    parser.add_argument("--package", type=Path, metavar="FOLDER", help="edge-potion's npm package, unpacked")
    parser.add_argument("--ort", type=Path, metavar="FOLDER", help="onnxruntime-web's dist, for the switch")
    parser.add_argument("--copy", type=Path, metavar="OUT", help="write a folder for any web host, and serve nothing")
    asked = parser.parse_args()
    try:
        files = files_of(asked.bundle, asked.classifier, asked.package, asked.ort)
        if asked.copy:
            copy(files, asked.copy)
        else:
            serve(files, asked.port)
    except (OSError, OverflowError) as error:
        sys.exit(f"error: {error}")


def files_of(bundle: Path | None, classifier: Path | None, package: Path | None, ort: Path | None) -> dict[str, Path]:
    """The pages' files by their addresses. There are no others, so no address leads out of them."""
    python = CHECKOUT / "edge_potion"
    if not python.is_dir():
        found = find_spec("edge_potion")
        if found is None or found.origin is None:
            raise OSError("edge-potion is not here: pip install edge-potion, or run this in a checkout")
        python = Path(found.origin).parent
    bundle = bundle or python / "models" / "potion-256d-minilm"
    package = package or (PACKAGE if PACKAGE.exists() else CHECKOUT / "js")
    own = [file for file in HERE.iterdir() if file.suffix in {".css", ".html", ".js", ".svg", ".webmanifest"}]
    scripts = [*(package / "src").glob("*.js"), package / "src" / "index.js"]
    files = {
        **{file.name: file for file in sorted(own)},
        **{f"edge-potion/src/{file.name}": file for file in sorted(set(scripts))},
        "edge-potion/dist/edge_potion.wasm": package / "dist" / "edge_potion.wasm",
        # The page does without the other engine, and tells who asks for it what is missing.
        **{f"vendor/{name}": (ort or ORT) / name for name in VENDOR if ort or ORT.is_dir()},
        "model/text_quantized.onnx": bundle / "onnx" / "text_quantized.onnx",
        "model/golden.json": bundle / "golden.json",
        "sample.txt": python / "samples" / "sentences.txt",
    }
    if classifier:
        files["classifier/text_quantized.onnx"] = classifier / "onnx" / "text_quantized.onnx"
    for address, file in files.items():
        if not file.is_file():
            raise OSError(f"{file} is missing; {WHERE_FROM.get(address.split('/')[0], 'copy the page again')}")
    if demo := None if classifier else demo_bundle():
        files["classifier/text_quantized.onnx"] = demo / "onnx" / "text_quantized.onnx"
    return files


def demo_bundle() -> Path | None:
    """The demo's classifier, exported once into edge-potion's cache; None, with the reason, where that cannot be."""
    try:
        from demo_classifier import SHIPPED, put_together  # the page that searches needs no edge-potion in Python

        from edge_potion import EdgeModel

        with tempfile.TemporaryDirectory() as folder:
            classifier = put_together(SHIPPED, Path(folder) / "classifier")
            return EdgeModel.from_pretrained(classifier, provider="cpu", precision="int8", graph="text").bundle.folder
    except (ImportError, OSError) as reason:
        print(
            f"without the demo's classifier, which pip install 'edge-potion[export]' makes: {reason}", file=sys.stderr
        )
        return None


def content_of(address: str, files: dict[str, Path]) -> bytes:
    content = files[address].read_bytes()
    if address != SERVICE_WORKER:
        return content
    # Another version whenever any file is another, so that browsers fetch them all anew.
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files.values()))
    return content.replace(VERSION.encode(), digest.hexdigest()[:16].encode())


def copy(files: dict[str, Path], out: Path) -> None:
    """Write all files into a new folder, which is there when they all are."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OSError(f"{out} exists; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for address in files:
            file = part / "files" / address
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content_of(address, files))
        if out.exists():
            out.rmdir()  # an empty folder; Windows would not rename onto it
        (part / "files").rename(out)
    finally:
        shutil.rmtree(part)
    print(f"{out}: {len(files)} files, {sum(file.stat().st_size for file in out.rglob('*')) / 1e6:.1f} MB")


def serve(files: dict[str, Path], port: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
            if address not in files:
                return self.answer(404, b"There is no such file.\n", {"Content-Type": TYPES[".txt"]})
            content = content_of(address, files)
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            if self.headers["If-None-Match"] == tag:
                return self.answer(304, b"", {"ETag": tag})
            return self.answer(200, content, {"ETag": tag, "Content-Type": TYPES[Path(address).suffix]})

        do_HEAD = do_GET

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**HEADERS, **headers}.items():
                self.send_header(name, value)
            if status != 304:  # where it would be the length of what is not sent
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                with suppress(ConnectionError):  # a tab that was closed meanwhile
                    self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise OSError(f"port {port} cannot be had ({error.strerror}); name another with --port") from error
    with server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
