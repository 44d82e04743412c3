"""Measures a library in a process of its own: `python -P run_LIBRARY.py JOB` prints a line of JSON.

It runs in the peers' environments too, so it imports nothing of ours, and no library before that library's own turn:
what is imported is part of what is measured. `PROTOCOL.md` tells what is in JOB and in the answer.
"""

import json
import sys
import time

GOLDEN_BATCH = 64
FEWEST_CALLS = 20  # of one text, however slow
CLOCKED_SECONDS = 0.005  # calls between two readings of the clock, so that these cost nothing


def answer(load):
    """Do the job that the command names with the Library that `load(job)` gives; print the answer, or why none is."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    start = peak_rss()
    try:
        said = measured(job, load(job), start)
    except Unable as reason:
        said = {reason.status: one_line(reason), **reason.more}
    except Exception as failure:  # whatever a library raises is a row of the report
        said = {"failed": one_line(f"{type(failure).__name__}: {failure}")}
    print(json.dumps(said))


class Library:
    """A library whose model is loaded.

    Attributes:
        encode: vectors (B, D) of a list of B texts.
        one: the vector of a text, as who has one alone asks for it; by default that of a list of one.
        from_ids: the same from what `form` makes of B rows of token ids; None where it takes none.
        labels: labels of a list of B texts, of a classifier that is opened by the first call; None where it is none.
        nodes: graph nodes by the provider that runs them; None where it does not tell.
        load_s: seconds that the model took, without imports.
        packages: those whose versions the answer tells.
        kernels: which it took for this processor; None where it does not tell.
    """

    def __init__(
        self, encode, load_s, packages, *, one=None, from_ids=None, form=list, labels=None, nodes=None, kernels=None
    ):
        self.encode, self.load_s, self.packages, self.labels = encode, load_s, packages, labels
        self.one = one or (lambda text: encode([text]))
        self.from_ids, self.form, self.nodes, self.kernels = from_ids, form, nodes, kernels


class Unable(Exception):
    """The configuration cannot run here; `status` is "absent", "fell_back" or "failed"."""

    def __init__(self, status, reason, **more):
        super().__init__(reason)
        self.status, self.more = status, more


def measured(job, library, start):
    """The answer for a library; `start`: its process's peak memory before."""
    library.one(job["first"])
    first_ns = time.monotonic_ns()  # the clock that the job was started by
    rss_first = peak_rss()
    texts = Turn(read(job["texts"]))
    latency_ms = latencies(library.one, texts, job)
    one_a_second = 1000 * len(latency_ms) / sum(latency_ms)
    throughput = {str(batch): rate for batch, rate in rates(library.encode, texts, job, one_a_second, one=library.one)}
    from_ids = {}
    if library.from_ids:
        rows = rates(library.from_ids, Turn(read(job["ids"])), job, one_a_second, library.form)
        from_ids = {str(batch): rate for batch, rate in rows}
    rss_peak = peak_rss()  # the golden texts are longer than what anyone embeds, and a classifier is a model of its own
    labels = dict(rates(library.labels, texts, job, one_a_second)) if library.labels else {}
    dims = golden_vectors(library.encode, job) if job["golden"] else None
    return {
        "versions": versions(library.packages) | ({"kernels": library.kernels} if library.kernels else {}),
        "device": None,
        "nodes": library.nodes,
        "load_s": library.load_s,
        "first_vector_s": (first_ns - job["started_ns"]) / 1e9,
        "latency_ms": latency_ms,
        "throughput": throughput,
        "from_ids": from_ids,
        "labels": {str(batch): rate for batch, rate in labels.items()},
        "rss_start_bytes": start,
        "rss_first_bytes": rss_first,
        "rss_peak_bytes": rss_peak,
        "dims": dims,
    }


def golden_vectors(encode, job):
    """Write the vectors of the golden texts; their shape."""
    import numpy as np

    golden = read(job["golden"])
    parts = [golden[at : at + GOLDEN_BATCH] for at in range(0, len(golden), GOLDEN_BATCH)]
    vectors = np.concatenate([np.asarray(encode(part), np.float32) for part in parts])
    if len(vectors) != len(golden):
        raise Unable("failed", f"vectors of shape {vectors.shape} for {len(golden)} texts")
    vectors.astype("<f4").tofile(job["vectors"])
    return list(vectors.shape)


class Turn:
    """Items in their order, from the first again after the last.

    Each measurement goes on where the one before stopped: a library that remembers words, or texts, is not asked for
    those that it has just seen.
    """

    def __init__(self, items):
        self.items, self.at = items, 0

    def __len__(self):
        return len(self.items)

    def next(self, count):
        """The next `count` of them; what is left at the end and is fewer, is passed over."""
        if self.at + count > len(self.items):
            self.at = 0
        self.at += count
        return self.items[self.at - count : self.at]


def latencies(one, texts, job):
    """Milliseconds of each call with one text, after the warm-up, less what the clock takes."""
    clock = clock_seconds()

    def seconds():
        (text,) = texts.next(1)
        begin = time.perf_counter()
        one(text)
        return max(time.perf_counter() - begin - clock, 1e-9)

    calls = warm = timed = 0
    while (calls < job["warmup_calls"] or warm < job["warmup_seconds"]) and warm < job["most_seconds"]:
        warm += seconds()
        calls += 1
    taken = []
    while len(taken) < job["latency_calls"] and (len(taken) < FEWEST_CALLS or timed < job["most_seconds"]):
        taken.append(seconds())
        timed += taken[-1]
    return [1000 * second for second in taken]


def clock_seconds():
    """What lies between two readings of the clock with nothing between them: the median."""
    taken = []
    for _ in range(1001):
        begin = time.perf_counter()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[len(taken) // 2]


def rates(encode, items, job, rate, form=list, one=None):
    """(batch, texts/s) for each batch size; None where one call would take too long, judged by the `rate` before, or
    there are not so many.

    `form` makes of a list of items what `encode` takes, while the clock stands; which is read once in many calls.
    `one` is called with an item by itself, where it is given.
    """
    for batch in job["batches"]:
        if batch / rate > job["most_seconds"] or batch > len(items):
            yield batch, None
            continue
        call, made = (one, first_of) if one and batch == 1 else (encode, form)
        call(made(items.next(batch)))
        calls, seconds = 0, 0.0
        while seconds < job["batch_seconds"] or calls < 2:
            chunks = [made(items.next(batch)) for _ in range(max(1, int(CLOCKED_SECONDS * rate / batch)))]
            begin = time.perf_counter()
            for chunk in chunks:
                call(chunk)
            seconds += time.perf_counter() - begin
            calls += len(chunks)
        rate = calls * batch / seconds
        yield batch, rate


def first_of(items):
    return items[0]


def timed(load):
    """What `load` gives, and the seconds it took."""
    begin = time.perf_counter()
    loaded = load()
    return loaded, time.perf_counter() - begin


def versions(packages):
    """Version of each of `packages` that is installed, and Python's."""
    from importlib.metadata import PackageNotFoundError, version

    by_package = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            by_package[package] = version(package)
        except PackageNotFoundError:
            continue
    return by_package


def peak_rss():
    """Most bytes that this process has held in memory; None where the system does not tell.

    Not ru_maxrss: that counts what the parent held when it started us.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None


def read(file):
    """What a JSON file holds."""
    with open(file, encoding="utf-8") as stream:
        return json.load(stream)


def one_line(reason):
    """The first line that says anything."""
    return next((line.strip() for line in str(reason).splitlines() if line.strip()), "no reason given")[:500]
