"""A hub on this machine: repositories of models and data sets as huggingface.co serves them, and its faults.

It speaks as much of the HTTP API as `huggingface_hub` and `datasets` need to download a model and to stream a data set:
what a repository is, its tree page by page, what lies at some paths, and files whole or from a byte on.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["COMMIT", "Hub", "hub_of"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = 1000  # entries of a tree that huggingface.co answers at once
CHUNK = 2**16  # bytes sent at once, and so about how exactly a connection is cut
LARGE = (".safetensors", ".gz", ".onnx", ".gguf")  # what the hub keeps outside of git, and tells the SHA-256 of
API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)(?:/(?P<what>[a-z-]+)/(?P<rest>.*))?")
FILE = re.compile(r"/(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


class Hub(ThreadingHTTPServer):
    """What is served, what was asked, and which connections will break.

    Attributes:
        folders: of the repositories, by "models/ORG/NAME" or "datasets/ORG/NAME".
        listed: names of more files of a repository, which are in its tree and cannot be had.
        sent: bytes of files that went out, by the repository's key and the file's name.
        cuts: after how many bytes of its content a file's connection breaks: once for each entry, in turn.
    """

    daemon_threads = True

    def __init__(self, folders: Mapping[str, Path], listed: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folders, self.listed = dict(folders), dict(listed or {})
        self.sent: Counter[tuple[str, str]] = Counter()
        self.cuts: dict[str, list[int]] = {}

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is to say."""
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Variables of a process that asks this hub alone, and keeps what it downloads in `home`.

        For a new process: the clients read most of them when they are imported.
        """
        return {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}

    def sent_of(self, repository: str) -> int:
        """Bytes of the files of a repository that went out."""
        return sum(size for (key, _), size in self.sent.items() if key == repository)

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is what this hub is for: nothing to tell."""


@contextmanager
def hub_of(folders: Mapping[str, Path], listed: Mapping[str, list[str]] | None = None) -> Iterator[Hub]:
    """A hub that answers for the length of a block; afterwards connections to it are refused."""
    with Hub(folders, listed) as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection stays, as the hub's does
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        """What lies at some paths: the one question that is posted."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if match := API.fullmatch(urlsplit(self.path).path):
            repository = f"{match['kind']}/{match['name']}"
            tree = self._tree(repository)
            inside = [entry for path in asked["paths"] for entry in tree if entry["path"] == path]
            return self._json(inside)
        return self._missing("RepoNotFound")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        if match := API.fullmatch(path):
            return self._about(f"{match['kind']}/{match['name']}", match["what"], match["rest"] or "", query)
        if match := FILE.fullmatch(path):
            return self._file(f"{'datasets' if match['kind'] else 'models'}/{match['name']}", match["file"])
        return self._missing("RepoNotFound")

    def _about(self, repository: str, what: str | None, rest: str, query: Mapping[str, list[str]]) -> None:
        if repository not in self.server.folders:
            return self._missing("RepoNotFound")
        if what in (None, "revision"):
            names = [entry["path"] for entry in self._tree(repository) if entry["type"] == "file"]
            siblings = [{"rfilename": name} for name in names]
            return self._json({"id": repository.partition("/")[2], "sha": COMMIT, "siblings": siblings})
        if what != "tree":
            return self._missing("EntryNotFound")
        folder = rest.partition("/")[2]
        prefix, is_deep = f"{folder}/" if folder else "", "true" in str(query.get("recursive")).lower()
        inside = [entry for entry in self._tree(repository) if entry["path"].startswith(prefix)]
        inside = [entry for entry in inside if is_deep or "/" not in entry["path"].removeprefix(prefix)]
        if not inside:
            return self._missing("EntryNotFound")
        begin = int(query.get("cursor", ["0"])[0])
        more = {}
        if begin + PAGE < len(inside):
            url = f"{self.server.endpoint}{urlsplit(self.path).path}?recursive={is_deep}&cursor={begin + PAGE}"
            more = {"Link": f'<{url}>; rel="next"'}
        return self._json(inside[begin : begin + PAGE], more)

    def _tree(self, repository: str) -> list[dict[str, Any]]:
        folder = self.server.folders[repository]
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        names = sorted({*files, *self.server.listed.get(repository, ())})
        parents = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
        folders = [{"type": "directory", "path": parent, "oid": _oid(parent), "size": 0} for parent in sorted(parents)]
        return folders + [_entry(name, files.get(name)) for name in names]

    def _file(self, repository: str, name: str) -> None:
        file = self.server.folders.get(repository, Path("nowhere")) / name
        if not file.is_file():
            self._missing("EntryNotFound")
            return
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1 if asked and asked[2] else size, size)
        if begin >= size > 0:
            self._begin(416, 0, {"Content-Range": f"bytes */{size}"})
            return
        headers = {"ETag": f'"{_sha256(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        self._begin(206 if asked else 200, end - begin, headers)
        if self.command != "HEAD":
            self._send(file, begin, end, repository, name)

    def _send(self, file: Path, begin: int, end: int, repository: str, name: str) -> None:
        cuts = self.server.cuts.get(name, [])
        last = min(begin + cuts.pop(0), end) if cuts else None
        with file.open("rb") as stream:
            stream.seek(begin)
            while begin < (end if last is None else last):
                chunk = stream.read(min(CHUNK, (end if last is None else last) - begin))
                self.wfile.write(chunk)
                self.server.sent[repository, name] += len(chunk)
                begin += len(chunk)
        if last is not None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, content: object, headers: Mapping[str, str] | None = None) -> None:
        encoded = json.dumps(content).encode()
        self._begin(200, len(encoded), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(encoded)

    def _missing(self, code: str) -> None:
        self._begin(404, 0, {"X-Error-Code": code})

    def _begin(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _entry(name: str, file: Path | None) -> dict[str, Any]:
    size = file.stat().st_size if file else 0
    entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": _oid(name)}
    if name.endswith(LARGE):
        oid = _sha256(file) if file else hashlib.sha256(name.encode()).hexdigest()
        entry["lfs"] = {"oid": oid, "size": size, "pointerSize": 134}
    return entry


def _oid(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


@cache  # what is served stays as it is
def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
