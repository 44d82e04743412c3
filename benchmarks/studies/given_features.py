"""Turn teacher vectors that are given as int8 rows and scales (a text a line beside them) into the trainer's shards.

python -m edge_potion.benchmarks.studies.given_features ../shared/data build/features --teacher TEACHER_FOLDER
"""

from __future__ import annotations

import argparse
import json
import lzma
from itertools import islice
from pathlib import Path

import numpy as np

from edge_potion.trainer.shards import Shard, shard_files, write_shard
from edge_potion.trainer.teacher_files import teacher_digest
from edge_potion.writing import file_written_whole

ROWS = 50_000  # a shard


def write_given_features(data: Path, out: Path, teacher: Path | None = None) -> int:
    """Write shards of `data`/minilm-features and the first lines of `data`/sentences.txt.xz; the number of rows.

    Row i of the vectors is `vectors.int8.npy[i] * scales.f32.npy[i]`, of line i of the sentences. With `teacher`, the
    folder of the model that made them, the manifest lets a run refuse another one.
    """
    vectors = np.load(data / "minilm-features" / "vectors.int8.npy", mmap_mode="r")  # (N, H) int8
    scales = np.load(data / "minilm-features" / "scales.f32.npy")  # (N,)
    out.mkdir(parents=True, exist_ok=True)
    with lzma.open(data / "sentences.txt.xz", "rt", encoding="utf-8", newline="\n") as lines:
        for number, begin in enumerate(range(0, len(vectors), ROWS)):
            part = slice(begin, begin + ROWS)
            rows = vectors[part] * scales[part, None]  # (n, H) float32
            write_shard(out, number, Shard([line.rstrip("\n") for line in islice(lines, len(rows))], rows))
    if teacher is not None:
        manifest = {"teacher": teacher.name, "teacher_digest": teacher_digest(teacher), "pooling": "tokens"}
        with file_written_whole(out / "features.json") as beside:
            beside.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(vectors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with sentences.txt.xz and minilm-features/")
    parser.add_argument("out", type=Path, help="folder for the shards")
    parser.add_argument("--teacher", type=Path, help="folder of the teacher that made the vectors")
    arguments = parser.parse_args()
    if shard_files(arguments.out):
        parser.error(f"{arguments.out} holds shards already")
    print(f"{arguments.out}: {write_given_features(arguments.data, arguments.out, arguments.teacher)} rows")
