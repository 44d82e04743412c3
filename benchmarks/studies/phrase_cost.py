"""What phrases cost in time: a model beside its tokens trained alone, at int8, in the engine and in ONNX Runtime.

python -m edge_potion.benchmarks.studies.phrase_cost RUN sentences.txt.xz SCRATCH [--rounds N]

RUN is a finished run of a recipe with phrases. Interleaved rounds on one pinned core; other work on the machine
falsifies them. A ratio of 1.15 is 15 % more time.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

from edge_potion import EdgeModel, StaticModel
from edge_potion.exporters.export import export
from edge_potion.find import WITHOUT_PHRASES
from edge_potion.texts import read_lines
from edge_potion.tokens import tokenize

from ..speed.process import pinned
from .peers import made
from .rounds import print_rates, rates_and_ratios, timed

SENTENCES = 20_000
TOKENS, BOTH = "tokens alone", "tokens and phrases"
ENGINES = {"native": "engine", "onnxruntime": "text graph"}
A_CALL = (256, SENTENCES)  # texts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("sentences", type=Path, help="file of texts, a line each")
    parser.add_argument("scratch", type=Path, help="folder for the bundles")
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    texts = list(islice(read_lines(arguments.sentences), SENTENCES))
    models = {BOTH: arguments.run / "model", TOKENS: arguments.run / "model" / WITHOUT_PHRASES}
    bundles = {
        name: made(arguments.scratch / name.replace(" ", "-"), partial(_export, model))
        for name, model in models.items()
    }
    print(f"{_phrases_a_text(StaticModel.from_pretrained(models[BOTH]), texts):.1f} phrases a text")
    with pinned(1):
        for engine, called in ENGINES.items():
            opened = {name: EdgeModel.from_pretrained(bundle, engine=engine) for name, bundle in bundles.items()}
            for size in A_CALL:
                runs = {name: partial(_rate, model, texts, size) for name, model in opened.items()}
                report = rates_and_ratios(timed(runs, arguments.rounds), [(TOKENS, BOTH)])
                print_rates(f"{called}, {size:,} texts a call", report)


def _export(model: Path, out: Path) -> None:
    export(model, out, quantize="int8", graphs="text")


def _rate(model: EdgeModel, texts: list[str], size: int) -> float:
    begun = perf_counter()
    for begin in range(0, len(texts), size):
        model.encode(texts[begin : begin + size])
    return len(texts) / (perf_counter() - begun)


def _phrases_a_text(model: StaticModel, texts: list[str]) -> float:
    if model.phrases is None:
        raise SystemExit("the run's model has no phrases")
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    return len(model.phrases.found(ids).flat) / len(texts)


if __name__ == "__main__":
    main()
