"""The server's processes: one by uvicorn, or several that share a socket; and how they are stopped.

Several share the pages of the models' tables, too: the native engine maps their files.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from edge_potion.errors import EdgePotionError, InputError

from .app import create_app
from .connection import Connection
from .metrics import SHARED_FOLDER, forget_dead_workers
from .served import opened
from .settings import Settings

__all__ = ["run"]

MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
MIB = 2**20
SECONDS_IDLE = 65  # of a connection, longer than clients and proxies keep one: theirs is the choice when to close
WAITING_CONNECTIONS = 2048  # that the system holds until they are accepted


def run(settings: Settings, host: str, port: int, workers: int) -> signal.Signals | None:
    """Serve until a signal stops it, and give that: requests that are at work are answered, new ones refused.

    Args:
        settings: what is served.
        host: address to listen on.
        port: 0 takes a free one, which is told.
        workers: processes.

    Raises:
        InputError: the address cannot be listened on.
        EdgePotionError: a model or index cannot be opened.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below are requests that are no HTTP
    _allow_connections()
    _keep_memory()
    if workers == 1:
        app = _app(settings)
        with _listening(host, port) as listener:
            server = _Server(_config(app, settings, 1))
            server.run([listener])
            return server.stopped_by
    opened(settings)  # so that what is wrong is told once, in a line
    with _listening(host, port) as listener, TemporaryDirectory(prefix="edge-potion-") as folder:
        os.environ[SHARED_FOLDER] = folder
        supervisor = _Supervisor(_config(partial(_in_worker, settings, os.getpid()), settings, workers), [listener])
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise EdgePotionError("a worker failed to start; what stands above tells why")
        return supervisor.stopped_by


def _config(app: object, settings: Settings, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        factory=isinstance(app, partial),
        workers=workers,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=WAITING_CONNECTIONS,
        timeout_keep_alive=SECONDS_IDLE,
        timeout_graceful_shutdown=math.ceil(settings.deadline_s) + 1,
    )


class _Server(uvicorn.Server):
    """Tells by which signal it was stopped; uvicorn's would raise it again."""

    stopped_by: signal.Signals | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            if self._captured_signals:
                self.stopped_by = signal.Signals(self._captured_signals[0])
                self._captured_signals.clear()


class _Supervisor(Multiprocess):
    """Starts workers, and another one for each that dies."""

    stopped_by: signal.Signals | None = None

    def keep_subprocess_alive(self) -> None:
        """uvicorn's own asks each whether it is there, and waits long for one that was killed on being asked."""
        for place, worker in enumerate(self.processes):
            if worker.process.is_alive():
                continue
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                self.should_exit.set()
            if not self.should_exit.is_set():
                self.processes[place] = Process(self.config, self.sockets)
                self.processes[place].start()

    def handle_int(self) -> None:
        self.stopped_by = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        self.stopped_by = signal.SIGTERM
        super().handle_term()


def _in_worker(settings: Settings, supervisor: int) -> Starlette:
    """The app of a worker, which ends with its supervisor, however that ends."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    _keep_memory()
    forget_dead_workers(Path(os.environ[SHARED_FOLDER]))

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, daemon=True).start()
    return _app(settings)


def _app(settings: Settings) -> Starlette:
    app = create_app(settings)
    gc.freeze()  # all that is there stays: looking through it again and again would only hold requests up
    return app


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, told on stderr by its URL."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=WAITING_CONNECTIONS)
    except OSError as failure:
        reason = failure.strerror if isinstance(failure, socket.gaierror) else os.strerror(failure.errno or 0)
        raise InputError(f"cannot listen on {host} port {port}: {reason}; choose others by --host and --port") from None
    with listener:
        listener.set_inheritable(True)
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        print(f"serving on http://{shown}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
        yield listener


def _allow_connections() -> None:
    """As many open files as the system lets us have: each connection is one."""
    with suppress(ImportError, ValueError, OSError):  # no such limit on Windows
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _keep_memory() -> None:
    """Have the C library keep what was freed for the next request: to get it anew takes longer than to embed a list."""
    with suppress(AttributeError, TypeError, OSError):  # it is glibc that gives it back so soon
        tune = ctypes.CDLL(None).mallopt
        tune(MALLOC_MMAP_THRESHOLD, 32 * MIB)
        tune(MALLOC_TRIM_THRESHOLD, 64 * MIB)
