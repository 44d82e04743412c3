"""A Ray cluster of two nodes on this machine, each with a cache of its own, and ways to lose a part of it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS, LOOKS = 60, 10
OBJECT_STORE_BYTES = 200 * 2**20
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}


@dataclass
class RayCluster:
    """Two nodes of two CPUs each; this process is connected to the first."""

    cluster: Any
    folder: Path  # of the caches
    session: str  # folder of Ray's, whose sockets need a short name

    @property
    def address(self) -> str:
        """For `--address`."""
        return self.cluster.address

    def add_node(self) -> Any:
        """A node whose workers have a cache of their own, as those of another machine have."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("EDGE_POTION_CACHE", str(self.folder / f"node-{len(list(self.folder.iterdir()))}"))
            Path(os.environ["EDGE_POTION_CACHE"]).mkdir()
            environment.setenv("OMP_NUM_THREADS", "1")
            options = {"num_cpus": 2, "object_store_memory": OBJECT_STORE_BYTES, "temp_dir": self.session}
            return self.cluster.add_node(include_dashboard=False, **options)

    def second_node(self) -> Any:
        """A node beside the first, started where the last one was lost."""
        return next(iter(self.cluster.worker_nodes), None) or self.add_node()

    def lose_second_node(self) -> None:
        """All its processes at once, as a machine does that loses its power."""
        node = self.second_node()
        workers = _children(_raylet_of(node))  # which would answer for a second or two when the node is gone
        self.cluster.remove_node(node, allow_graceful=False)
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_an_actor(self, name: str) -> None:
        """kill -9 of a process that is an actor of that class, whichever node it is on."""
        os.kill(self.actors(name)[0], signal.SIGKILL)

    def actors(self, name: str) -> list[int]:
        """Their pids."""
        children = [pid for node in self.cluster.list_all_nodes() for pid in _children(_raylet_of(node))]
        return [pid for pid in children if name in _title(pid)]

    def wait_for(self, name: str, count: int) -> None:
        """Until so many processes are actors of that class, and none is at work, at several looks.

        Between two of its methods an actor is idle, too, so that one look would not do.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        looks = 0
        while looks < LOOKS:
            titles = sorted(map(_title, self.actors(name)))
            looks = looks + 1 if titles == [f"ray::{name}"] * count else 0
            assert time.monotonic() < end, f"there are {titles}, and {count} idle ones were expected"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory) -> Iterator[RayCluster]:
    """Stopped, with all its processes, when the module's tests are over."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("there is no /proc here, by which the processes of Ray's actors are found")
    with pytest.MonkeyPatch.context() as environment:
        for key, value in QUIET.items():
            environment.setenv(key, value)
        import ray
        import ray.data
        from ray.cluster_utils import Cluster

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        made = RayCluster(Cluster(), tmp_path_factory.mktemp("caches"), tempfile.mkdtemp(prefix="ray-"))
        environment.setenv("RAY_TMPDIR", made.session)  # where Ray notes which cluster is the current one
        Path(made.session, "ray").mkdir()
        try:
            made.add_node()
            made.add_node()
            ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield made
        finally:
            ray.shutdown()
            made.cluster.shutdown()
            shutil.rmtree(made.session, ignore_errors=True)


def _raylet_of(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def _title(pid: int) -> str:
    """What Ray calls a process; "" where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0 ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]
