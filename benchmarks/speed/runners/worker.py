"""Runs one configuration of a benchmark, in a process of its own: `python -P worker.py JOB` prints a line of JSON.

It runs in the peers' environments too, so it imports nothing of ours, and no library before that library's own turn:
what is imported is part of what is measured. `benchmarks/PROTOCOL.md` tells what is in JOB and in the answer.
"""

import json
import sys
import time
from importlib import import_module
from itertools import cycle
from types import SimpleNamespace

GOLDEN_BATCH = 64
FEWEST_CALLS = 20  # of one text, however slow


def main():
    """Do the job; print the answer, or why there is none."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    start = peak_rss()
    try:
        contestant = CONTESTANTS[job["runner"]](job)
        answer = measured(job, contestant, start)
    except Unable as reason:
        answer = {reason.status: one_line(reason), **reason.more}
    except Exception as failure:  # whatever a library raises is a row of the report
        answer = {"failed": one_line(f"{type(failure).__name__}: {failure}")}
    print(json.dumps(answer))


class Unable(Exception):
    """The configuration cannot run here; `status` is "absent", "fell_back" or "failed"."""

    def __init__(self, status, reason, **more):
        super().__init__(reason)
        self.status, self.more = status, more


def measured(job, contestant, start):
    """The answer for a contestant that is loaded."""
    contestant.encode([job["first"]])
    first_ns = time.monotonic_ns()  # the clock that the job was started by
    rss_first = peak_rss()
    texts = read(job["texts"])
    latency_ms = latencies(contestant.encode, texts, job)
    one_a_second = 1000 * len(latency_ms) / sum(latency_ms)
    throughput = {str(batch): rate for batch, rate in rates(contestant.encode, texts, job, one_a_second)}
    from_ids = {}
    if contestant.from_ids:
        found = rates(contestant.from_ids, read(job["ids"]), job, one_a_second, contestant.form)
        from_ids = {str(batch): rate for batch, rate in found}
    rss_peak = peak_rss()  # the golden texts are longer than what anyone embeds
    dims = golden_vectors(contestant.encode, job) if job["golden"] else None
    return {
        "versions": versions(contestant.packages),
        "device": None,
        "nodes": contestant.nodes,
        "load_s": contestant.load_s,
        "first_vector_s": (first_ns - job["started_ns"]) / 1e9,
        "latency_ms": latency_ms,
        "throughput": throughput,
        "from_ids": from_ids,
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


def latencies(encode, texts, job):
    """Milliseconds of each call with one text, after the warm-up."""
    singles = ([text] for text in cycle(texts))

    def seconds():
        single = next(singles)
        begin = time.perf_counter()
        encode(single)
        return time.perf_counter() - begin

    calls = warm = timed = 0
    while (calls < job["warmup_calls"] or warm < job["warmup_seconds"]) and warm < job["most_seconds"]:
        warm += seconds()
        calls += 1
    taken = []
    while len(taken) < job["latency_calls"] and (len(taken) < FEWEST_CALLS or timed < job["most_seconds"]):
        taken.append(seconds())
        timed += taken[-1]
    return [1000 * each for each in taken]


def rates(encode, items, job, rate, form=list):
    """(batch, texts/s) for each batch size; None where one call would take too long, judged by the `rate` before.

    `form` makes of a list of items what `encode` takes, before the clock runs.
    """
    for batch in job["batches"]:
        if batch / rate > job["most_seconds"]:
            yield batch, None
            continue
        chunks = [form(items[at : at + batch]) for at in range(0, len(items) - batch + 1, batch)]
        encode(chunks[0])
        calls, begin, seconds = 0, time.perf_counter(), 0.0
        while seconds < job["batch_seconds"] or calls < 2:
            encode(chunks[calls % len(chunks)])
            calls += 1
            seconds = time.perf_counter() - begin
        rate = calls * batch / seconds
        yield batch, rate


def edge_potion(job):
    """EdgeModel: strings to vectors."""
    sys.path.append(job["package"])  # after the environment's own packages
    import onnxruntime  # noqa: F401 - its import is no part of the load

    from edge_potion import EdgeModel
    from edge_potion.errors import FallBackError, ProviderError

    def load():
        wanted = {key: job[key] for key in ("provider", "precision", "graph", "threads")}
        try:
            return EdgeModel.from_pretrained(job["folder"], **wanted)
        except FallBackError as reason:
            raise Unable("fell_back", str(reason), nodes={name: list(n) for name, n in reason.ran_on.items()}) from None
        except ProviderError as reason:
            raise Unable("absent", str(reason)) from None

    model, load_s = timed(load)

    from edge_potion.tokens import TokenIds

    return SimpleNamespace(
        encode=model.encode,
        from_ids=None if job["graph"] == "text" else lambda ids: model.encode_ids(ids, batch_size=len(ids.lengths)),
        form=TokenIds.of,
        nodes={name: list(nodes) for name, nodes in model.ran_on.items()} or None,
        load_s=load_s,
        packages=["onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "tokenizers", "numpy"],
    )


def model2vec(job):
    """model2vec's `encode`, in one process; from ids: its own code with the tokenizer taken out."""
    from model2vec import StaticModel

    model, load_s = timed(lambda: StaticModel.from_pretrained(job["folder"]))

    def from_ids(batch):
        model.tokenize = lambda *_, **__: batch
        try:
            return model._encode_batch([], normalize=True)
        finally:
            del model.tokenize

    return SimpleNamespace(
        encode=lambda texts: model.encode(texts, use_multiprocessing=False),
        from_ids=from_ids,
        form=list,
        nodes=None,
        load_s=load_s,
        packages=["model2vec", "tokenizers", "numpy"],
    )


def sentence_transformers(job):
    """A StaticEmbedding through SentenceTransformer, as its users call it."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(job["threads"])
    model, load_s = timed(lambda: SentenceTransformer(job["folder"], device="cpu"))
    return SimpleNamespace(
        encode=lambda texts: model.encode(texts, batch_size=len(texts), show_progress_bar=False),
        from_ids=None,
        nodes=None,
        load_s=load_s,
        packages=["sentence-transformers", "transformers", "torch", "tokenizers"],
    )


def fastembed(job):
    """Our tokens graph as a custom model of fastembed; the vectors are the graph's, so nothing is pooled."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    def load():
        TextEmbedding.add_custom_model(
            model="edge-potion/bundle",
            pooling=PoolingType.DISABLED,
            normalization=False,
            sources=ModelSource(hf="edge-potion/bundle"),
            dim=job["dim"],
            model_file=job["model_file"],
        )
        return TextEmbedding("edge-potion/bundle", specific_model_path=job["folder"], threads=job["threads"])

    model, load_s = timed(load)
    return SimpleNamespace(
        encode=lambda texts: list(model.embed(texts, batch_size=len(texts))),
        from_ids=None,
        nodes=None,
        load_s=load_s,
        packages=["fastembed", "onnxruntime", "tokenizers"],
    )


def onnx(job):
    """An ONNX file in ONNX Runtime alone: our text graph, or anyone's graph of token ids with its tokenizer."""
    import numpy  # noqa: F401 - the imports are no part of the load
    import onnxruntime
    import tokenizers  # noqa: F401

    def load():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(job["file"], options, providers=["CPUExecutionProvider"])
        from_text = [each.name for each in session.get_inputs()] == ["text"]
        return _from_bytes(session) if from_text else _from_tokens(session, job)

    encode, load_s = timed(load)
    return SimpleNamespace(
        encode=encode, from_ids=None, nodes=None, load_s=load_s, packages=["onnxruntime", "tokenizers", "numpy"]
    )


def _from_bytes(session):
    """NUL stands between texts, and never in one."""
    import numpy as np

    def encode(texts):
        joined = "\0".join(text.replace("\0", "") for text in texts).encode()
        return session.run(None, {"text": np.frombuffer(joined, np.uint8)})[0]

    return encode


def _from_tokens(session, job):
    """From `input_ids` and `attention_mask`, texts padded to the longest of a call.

    Where the file gives token vectors, they are averaged and scaled to unit length, as sentence-transformers does with
    all-MiniLM-L6-v2.
    """
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(job["tokenizer"])
    tokenizer.enable_padding()
    tokenizer.enable_truncation(job["max_tokens"])
    names = [each.name for each in session.get_inputs()]

    def encode(texts):
        rows = tokenizer.encode_batch_fast(texts, add_special_tokens=job["special"])
        grid = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        if not grid.size:  # no text has a token
            grid = mask = np.zeros((len(texts), 1), np.int64)
        feeds = {"input_ids": grid, "attention_mask": mask, "token_type_ids": np.zeros_like(grid)}
        vectors = session.run(None, {name: feeds[name] for name in names})[0]
        if vectors.ndim == 3:
            vectors = (vectors * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    return encode


def langchain(job):
    """The Embeddings of examples/langchain, as LangChain calls it."""
    sys.path += [job["package"], job["example"]]  # after the environment's own packages
    import onnxruntime  # noqa: F401 - the imports are no part of the load

    example = import_module("embeddings")
    model, load_s = timed(lambda: example.EdgePotionEmbeddings(job["folder"]))
    if model.embed_query(job["first"]) != model.embed_documents([job["first"]])[0]:
        raise Unable("failed", "embed_query and embed_documents give two vectors for one text")
    if model.edge_model.precision != job["precision"]:
        raise Unable("failed", f"it runs at {model.edge_model.precision}")
    return SimpleNamespace(
        encode=model.embed_documents,
        from_ids=None,
        nodes=None,
        load_s=load_s,
        packages=["langchain-core", "onnxruntime", "tokenizers", "numpy"],
    )


CONTESTANTS = {
    "edge-potion": edge_potion,
    "model2vec": model2vec,
    "sentence-transformers": sentence_transformers,
    "fastembed": fastembed,
    "onnx": onnx,
    "langchain": langchain,
}


def timed(load):
    """What `load` gives, and the seconds it took."""
    begin = time.perf_counter()
    loaded = load()
    return loaded, time.perf_counter() - begin


def versions(packages):
    """Version of each of `packages` that is installed, and Python's."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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


if __name__ == "__main__":
    main()
