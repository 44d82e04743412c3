"""A Ray cluster for the length of a block: one that is there, or a new one on this machine; without its talk."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from edge_potion.errors import AccessError, InputError, require

__all__ = ["joined"]

SECONDS_TO_CONNECT = 5


@contextmanager
def joined(address: str | None = None) -> Iterator[None]:
    """This process is part of a Ray cluster in the block, and what it began is ended behind it.

    Where the caller has called ray.init, that cluster is taken as it is.

    Args:
        address: "auto", or host:port, of a cluster that this machine is a node of; "local" for a new one; None for the
            one that is there, by RAY_ADDRESS or on this machine, else a new one.

    Raises:
        InputError: the address is none, or is that of a Ray Client.
        AccessError: there is no cluster.
        MissingExtraError: ray is not installed.
    """
    require("ray", "pyarrow", extra="ray", purpose="work on Ray")
    import ray

    if ray.is_initialized():
        yield
        return
    if address and address.startswith("ray://"):
        raise InputError(f"{address} is for Ray's client; run this on a node of the cluster, or by `ray job submit`")
    _refuse_unreachable(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that we begin: no report to anybody
    with redirect_stdout(sys.stderr):  # where Ray tells of workers that it lost: stdout holds the result
        try:
            with _own_sigterm():
                ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as failure:
            raise AccessError(f"there is no Ray cluster at {address or 'RAY_ADDRESS'} ({failure})") from failure
        except ValueError as failure:
            raise InputError(f"address {address!r} cannot be used: {failure}") from failure
        try:
            yield
        finally:
            ray.shutdown()


def _refuse_unreachable(address: str | None) -> None:
    """Raise AccessError where nobody listens, which Ray finds out in a minute."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as failure:
        raise AccessError(f"there is no Ray cluster at {address} ({failure})") from failure


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray puts a handler of its own in the place of ours, which tells the exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)
