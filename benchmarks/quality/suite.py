"""The local suite: tasks named after MTEB's, read from DIR/<Task>/<split>.jsonl(.gz), each in its half.

Recipes are tuned on the one half and reported on the other; no text of either enters training.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import reprlib
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_potion.errors import InputError
from edge_potion.texts import PACKINGS, read_lines

__all__ = [
    "LAYOUT",
    "SUITE",
    "TEXT",
    "Field",
    "Half",
    "Kind",
    "Rows",
    "Task",
    "is_label",
    "load_rows",
    "name_of",
    "read_file",
    "read_rows",
    "sha256_of",
    "shown",
    "suite_digest",
    "tasks_there",
]

LAYOUT = (
    "Its layout is DIR/TASK/SPLIT.jsonl.gz, such as DIR/STS16/test.jsonl.gz (or .bz2, .xz, .zst, or unpacked), with a "
    "JSON object a line: "
    '{"sentence1", "sentence2", "score"} for STS, {"sentence1", "sentence2", "label": 0 or 1} for pairs, '
    '{"text", "label"} in test and train for classification; or DIR/SET/corpus.jsonl.gz, queries.jsonl.gz and '
    'qrels.jsonl.gz for retrieval; or DIR/SET/pairs.jsonl.gz, {"language", "text", "english"}, for translations'
)
# Of a file that is read: far beyond any task that is scored here, and within the memory of any machine.
LONGEST_LINE = 2**20  # bytes
MOST_BYTES = 2**28  # packed, and unpacked: TwitterURLCorpus, the largest, has a thirtieth
MOST_ROWS = 2**20
PACKINGS_IN_ORDER = (".gz", "", *(packing for packing in PACKINGS if packing != ".gz"))  # the first that is there
MOST_LABELS = 1024  # classes of a logistic regression: more would be fitted for days
LARGEST_LABEL = 2**63  # of whole numbers
SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, which JSON can write and UTF-8 cannot
Kind = Literal["STS", "Classification", "PairClassification"]
Half = Literal["tuning", "report"]


@dataclass(frozen=True)
class Task:
    """One task of the suite.

    Attributes:
        name: of its folder, MTEB's without "Classification".
        kind: which protocol scores it.
        half: whether recipes may be tuned on it, or it is reported.
        split: the file of rows that are scored.
        without: another split whose pairs are left out of these, because they are tuned on.
        examples: Classification alone: training examples a label, as in mteb.
        note: what differs from MTEB's task.
    """

    name: str
    kind: Kind
    half: Half
    split: str = "test"
    without: str = ""
    examples: int = 8
    note: str = ""

    @property
    def title(self) -> str:
        """Name and split, which tell a task from others."""
        return f"{self.name} ({self.split})" if self.split != "test" else self.name


@dataclass(frozen=True)
class Rows:
    """The rows of a task.

    Attributes:
        test: dicts with `sentence1`, `sentence2` and `score` or `label`; or with `text` and `label`.
        train: Classification alone.
    """

    test: Sequence[dict[str, Any]]
    train: Sequence[dict[str, Any]] = ()


SUITE = (
    Task("STS12", "STS", "tuning"),
    Task("STS14", "STS", "tuning"),
    Task("STSBenchmark", "STS", "tuning", split="validation"),
    Task("SICK-R", "STS", "tuning", split="validation", note="500 of the 9,927 rows"),
    Task("QQP", "PairClassification", "tuning", split="validation", note="not an MTEB task: ours"),
    Task("Banking77", "Classification", "tuning"),
    Task("Emotion", "Classification", "tuning", examples=16),
    Task("MTOPDomain", "Classification", "tuning"),
    Task("MassiveScenario", "Classification", "tuning"),
    Task("STS16", "STS", "report"),
    Task("STSBenchmark", "STS", "report"),
    Task("SICK-R", "STS", "report", without="validation", note="without the 500 rows that are tuned on"),
    Task("TwitterURLCorpus", "PairClassification", "report", note="42,200 of its rows are lower-cased"),
    Task("AmazonCounterfactual", "Classification", "report", examples=32),
    Task("Imdb", "Classification", "report", note="a sample: 4,000 of 25,000 rows a split"),
    Task("MTOPIntent", "Classification", "report", note="29 training rows of rare intents are missing"),
    Task("MassiveIntent", "Classification", "report", note="4 training rows are missing"),
    Task("TweetSentimentExtraction", "Classification", "report", examples=32),
)


def tasks_there(folder: Path, tasks: Sequence[Task], beside: Sequence[object] = ()) -> list[Task]:
    """Those of `tasks` that the suite in `folder` holds: its folder is there; of the splits of one folder, the file.

    Args:
        beside: what else there is to score in it, with which it may hold none of them.

    Raises:
        InputError: there is no such folder, it cannot be read, or it holds none of them.
    """
    try:
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "is not there"
            raise InputError(f"{folder} {found}; the folder of a suite was expected, or mteb. {LAYOUT}")
        held = [task for task in tasks if (folder / task.name).is_dir()]
        with_file = [task for task in held if (folder / _file(folder, task, task.split)).exists()]
    except InputError:
        raise
    except (OSError, ValueError) as failure:  # ValueError: a name that no file system takes
        raise InputError(f"{folder} cannot be read ({_why(failure)}); the folder of a suite was expected") from failure
    if not held and not beside:
        names = ", ".join(dict.fromkeys(task.name for task in tasks))
        raise InputError(f"{folder} holds none of the suite's tasks ({names}). {LAYOUT}")
    halved = {task.name for task in with_file}
    return [task for task in held if task in with_file or task.name not in halved]


def load_rows(folder: Path, task: Task) -> Rows:
    """The rows of a task of the suite in `folder`, each of them checked.

    Raises:
        InputError: a file is missing, damaged or too large; a row is not what FIELDS says, which is told with file and
            line; or no score can come of the rows.
    """
    test = _read(folder, task, task.split)
    if task.without:
        tuned = {_pair(row) for row in _read(folder, task, task.without)}
        test = [row for row in test if _pair(row) not in tuned]
    rows = Rows(test, _read(folder, task, "train") if task.kind == "Classification" else [])
    if fault := _unscorable(rows, task):
        raise InputError(f"{_file(folder, task, task.split)}: {fault}")
    return rows


def suite_digest(folder: Path, tasks: Sequence[Task]) -> str:
    """Twelve hex digits that change with the content of any file of `tasks`; what cannot be read counts by its name."""
    digest = hashlib.sha256()
    for name in sorted({task.name for task in tasks}):
        for file in sorted((folder / name).glob("*.jsonl*")):
            digest.update(f"{name}/{file.name} {sha256_of(file)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]


def sha256_of(file: Path) -> str:
    """Of its content; "" of what cannot be read."""
    try:
        if stat.S_ISREG(file.stat().st_mode) and file.stat().st_size <= MOST_BYTES:
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        pass
    return ""


def name_of(folder: Path, name: str) -> str:
    """Its path in the suite's folder, however packed: a report tells no folder of the machine."""
    paths = [f"{name}{packing}" for packing in PACKINGS_IN_ORDER]
    return next((path for path in paths if (folder / path).exists()), paths[0])


def _file(folder: Path, task: Task, split: str) -> str:
    return name_of(folder, f"{task.name}/{split}.jsonl")


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    return row["sentence1"], row["sentence2"]


def _read(folder: Path, task: Task, split: str) -> list[dict[str, Any]]:
    """The rows of a file; their labels are of one type."""
    rows: list[dict[str, Any]] = []
    for at, row in read_rows(folder, _file(folder, task, split), FIELDS[task.kind]):
        rows.append(row)
        types = {type(each.get("label")) for each in (rows[0], row)}
        if len(types) > 1:
            both = " and ".join(shown(each["label"]) for each in (rows[0], row))
            raise InputError(f"{at}: labels are {both}; either strings or whole numbers were expected")
    return rows


def read_rows(folder: Path, name: str, fields: Mapping[str, Field], hook: Any = None) -> Iterator[tuple[str, Any]]:
    """The rows, dicts, of a file of JSON lines in a suite's folder, and where each stands; `hook` is json's, of pairs.

    Raises:
        InputError: it is not there, damaged or too large; a row is not what `fields` say.
    """
    for at, line in read_file(folder, name):
        yield at, _parsed(line, fields, at, hook)


def read_file(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a file in a suite's folder that hold anything, each with where it stands.

    Raises:
        InputError: it is not there, damaged or too large.
    """
    rows = 0
    try:
        for number, line in enumerate(_lines(folder / name, name), 1):
            at = f"{name}, line {number}"
            if rows == MOST_ROWS:
                raise InputError(f"{at}: a file may have {MOST_ROWS:,} rows, and this has more; leave some out")
            if line.strip():
                rows += 1
                yield at, line
    except InputError:
        raise
    except FileNotFoundError as failure:
        raise InputError(f"{name} is not there") from failure
    except OSError as failure:
        raise InputError(f"{name} cannot be read as lines of text ({_why(failure)})") from failure


def _lines(file: Path, where: str) -> Iterator[str]:
    """The lines of a file; no more of it is unpacked than the limits allow."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise InputError(f"{where} is no file")
    left = MOST_BYTES
    try:
        for number, line in enumerate(read_lines(file), 1):
            size = len(line.encode("utf-8"))
            if size > LONGEST_LINE:
                raise InputError(f"{where}, line {number}: longer than {LONGEST_LINE:,} bytes; cut the text")
            left -= size
            if left < 0:
                raise InputError(f"{where}, line {number}: more than {MOST_BYTES:,} bytes of rows; leave some out")
            yield line
    except InputError as failure:
        raise InputError(str(failure).replace(str(file), where)) from failure


def _parsed(line: str, fields: Mapping[str, Field], at: str, hook: Any) -> dict[str, Any]:
    """The fields of a row; what it holds beside them, a number of its own say, counts for nothing."""
    try:
        row = json.loads(line, object_pairs_hook=hook)
    except (ValueError, RecursionError) as failure:
        raise InputError(f"{at} is not JSON ({failure})") from failure
    if not isinstance(row, dict):
        raise InputError(f"{at} is {shown(row)}; an object with {', '.join(fields)} was expected")
    for name, field in fields.items():
        if name not in row and not field.needed:
            continue
        if name not in row:
            raise InputError(f"{at} has no {name}; an object with {', '.join(fields)} was expected")
        if not field.fits(row[name]):
            raise InputError(f"{at}: {name} is {shown(row[name])}; {field.expected} was expected")
    return {name: row[name] for name in fields if name in row}


def _unscorable(rows: Rows, task: Task) -> str:
    """Why no score can come of them; "" when one can."""
    if not rows.test:
        return f"no row is left without those of {task.without}" if task.without else "it holds no row"
    field = "score" if task.kind == "STS" else "label"
    told = {row[field] for row in rows.test}
    some = shown(next(iter(told)))
    if task.kind != "Classification":
        return f"{field} is {some} in every row; a score comes of rows that differ" if len(told) == 1 else ""
    known = {row["label"] for row in rows.train}
    if len(known) < 2:
        return f"train has {'a single label' if known else 'no row'}; two labels or more were expected"
    if len(known) > MOST_LABELS:
        return f"train has {len(known):,} labels; at most {MOST_LABELS:,} can be told apart"
    return "" if told & known else f"no label of its rows, such as {some}, is one of train's"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not SURROGATE.search(value)


def is_label(value: Any) -> bool:
    """Whether it may stand for something: a string, or a whole number."""
    return _is_text(value) or (type(value) is int and abs(value) < LARGEST_LABEL)


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def shown(value: Any) -> str:
    """A value from a file, in few letters and in ASCII."""
    return reprlib.repr(value).encode("ascii", "backslashreplace").decode("ascii")


def _why(failure: Exception) -> str:
    """What the system says, without the path."""
    return getattr(failure, "strerror", None) or str(failure)


@dataclass(frozen=True)
class Field:
    """What a row holds under a name.

    Attributes:
        fits: whether a value may stand there.
        expected: which may.
        needed: whether it must be there.
    """

    fits: Callable[[Any], bool]
    expected: str
    needed: bool = True


TEXT = Field(_is_text, "a string without lone surrogates")
# Of each kind's rows: the fields that are read.
FIELDS: Mapping[Kind, Mapping[str, Field]] = {
    "STS": {"sentence1": TEXT, "sentence2": TEXT, "score": Field(_is_number, "a finite number")},
    "PairClassification": {
        "sentence1": TEXT,
        "sentence2": TEXT,
        "label": Field(lambda value: type(value) is int and value in (0, 1), "0 or 1"),
    },
    "Classification": {"text": TEXT, "label": Field(is_label, "a string or a whole number")},
}
