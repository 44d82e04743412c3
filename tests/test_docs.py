"""What README, CONTRIBUTING and the pages of docs/ say of the tree is so: files, links, commands, snippets."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from edge_potion.cli import app

CHECKOUT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/*/*.md",
        "js/*.md",
        "benchmarks/**/PROTOCOL.md",
        ".github/**/*.yml",
    )
    for path in CHECKOUT.glob(pattern)
    if "node_modules" not in path.parts
)
ROOMS = ("edge_potion", "trainer", "exporters", "benchmarks", "native", "js")
UNTOLD = ("__init__.py", "py.typed", "ruff.toml")  # of a room; what its header or `Walls` says
OURS = re.compile(
    r"https://(?:github\.com/edge-potion/edge-potion/(?:blob|tree|raw)|raw\.githubusercontent\.com/edge-potion/edge-potion)/main/"
)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"|(?m:^\s+url: (\S+))")
FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
EVERYWHERE = {"-q", "--quiet", "-h", "--help"}  # options of every command
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # of a group, which it is


def page(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def section(title: str) -> str:
    return page("CONTRIBUTING.md").split(f"\n## {title}\n")[1].split("\n## ")[0]


def mapped() -> list[str]:
    """Paths in the map: a line less far to the right is the folder of what follows."""
    folder, paths = "", []
    for indent, path in re.findall(r"(?m)^    (  )?(\S+)  .*\S", section("The map").split("onnxruntime)\n")[1]):
        folder = folder if indent else path
        paths.append(folder + path if indent else path)
    return paths


def test_the_map_names_every_file_of_the_rooms_once_and_none_that_is_not_there():
    names = mapped()
    assert len(names) > 150 and len(set(names)) == len(names)
    assert [name for name in names if not (CHECKOUT / name).exists()] == []
    listed = subprocess.run(["git", "ls-files", *ROOMS], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.splitlines() if (CHECKOUT / name).exists()]
    headers = {name for name in names if any(other != name and other.startswith(name) for other in names)}
    folders = tuple(name for name in names if name.endswith("/") and name not in headers)
    untold = [name for name in files if name not in names and not name.startswith(folders)]
    assert [name for name in untold if Path(name).name not in UNTOLD] == []


def test_where_to_begin_names_files_that_are_there():
    paths = re.findall(r"`([\w./-]+/[\w./-]*|[\w.-]+\.md)`", section("Where do I begin?"))
    assert len(paths) > 40 and [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_the_readme_is_short():
    assert len(page("README.md").splitlines()) <= 120


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings_that_are_there(name):
    """Ours on the web too, by the files that they show."""
    for target in (next(filter(None, groups)) for groups in LINK.findall(page(name))):
        if re.match(r"\w+:", target) and not OURS.match(target):
            continue
        path, _, heading = unquote(OURS.sub("", target)).partition("#")
        folder = CHECKOUT if OURS.match(target) else (CHECKOUT / name).parent
        file = (folder / path).resolve() if path else CHECKOUT / name
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def headings(file: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    titles = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", [name for name in PAGES if name != "CHANGELOG.md"])
def test_commands_are_those_that_there_are(name):
    """Whole ones in blocks of code are parsed as the door parses them; of others, the command and its options."""
    blocks = "\n".join(body for kind, body in FENCE.findall(page(name)) if kind == "sh")
    for words in commands(blocks):
        command, rest = resolved(words)
        command.make_context(words[0], rest)
    for line in re.findall(r"\bedge-potion\"? ([a-z][^`\n]*)", page(name)):
        verb = re.match(r"[a-z-]+", line)[0]
        if verb in COMMANDS:
            command, _ = resolved(re.findall(r"[a-z-]+", line)[:2])
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"(?<!\S)--?[a-z][\w-]*", line.partition("  ")[0])) <= known | EVERYWHERE, line
        else:
            assert not re.search(rf"`edge-potion {re.escape(verb)}", page(name)), line


def resolved(words: list[str]) -> tuple[typer.core.TyperCommand, list[str]]:
    """The command that words name, which may be one of another's, and what is left of them."""
    command, *rest = COMMANDS[words[0]], *words[1:]
    if rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def commands(block: str) -> Iterator[list[str]]:
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["edge-potion"] and words[1] != "COMMAND":
            yield words[1 : words.index(">") if ">" in words else None]


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_modules_and_test_files_that_pages_name_are_there(name):
    text = page(name)
    targets = set(re.findall(r"(?m)^([a-z-]+):", page("Makefile")))
    assert set(re.findall(r"(?:`|run: |^)make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets
    for module in re.findall(r"python -m (edge_potion[\w.]*)", text):
        assert find_spec(module.rstrip(".")), module
    for file in re.findall(r"\btests/[\w/]+\.(?:py|c)\b", text):
        assert (CHECKOUT / file).exists(), file


@pytest.mark.parametrize("name", ["README.md", "docs/use.md"])
def test_snippets_in_python_run(name):
    """One after another, as a reader types them."""
    names: dict[str, object] = {}
    snippets = [body for kind, body in FENCE.findall(page(name)) if kind == "python"]
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, name, "exec"), names)
