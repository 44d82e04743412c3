"""What --help shows, at every width, and what the door costs before a command is chosen."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import pytest

from edge_potion.bundle import GRAPHS, PRECISIONS
from edge_potion.cli import app, help_pages
from edge_potion.cli.options import Graph, Precision
from edge_potion.providers import PROVIDERS

from .test_cli import edge_potion, shell

PAGES = help_pages(app)
WIDTHS = (40, 60, 80, 120)


def names_of(page: str) -> set[str]:
    """What one types, as a page 120 columns wide shows it: options, choices, and words that hold - / _ or a dot."""
    return set(re.findall(r"(?<![\w-])--?\w[\w-]*|[\w.]+(?:[-/|_][\w.]+)+", page))


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", PAGES)
def test_no_name_that_one_must_type_is_broken_at_any_width(command, columns):
    page = help_pages(app, columns)[command]
    assert names_of(help_pages(app, 1000)[command]) <= names_of(page)
    assert "…" not in page and "<" not in page and "--no-" not in page
    assert all(
        len(line) <= columns or len(line.rstrip(" \\").split()) == 1
        for line in page.splitlines()
        if line[:8] != "  suite/"
    )


@pytest.mark.parametrize("command", ["", "export", "evaluate"])
def test_help_is_as_wide_as_the_terminal(command):
    said = shell(f"$EP {command} --help", COLUMNS="60").stdout
    assert said.strip() == help_pages(app, 60)[f"edge-potion {command}".strip()].strip()


def test_every_command_is_told_with_an_example():
    for name in PAGES:
        above, _, command = name.rpartition(" ")
        assert not above or re.search(rf"^  {command} ", PAGES[above], re.MULTILINE), name
        assert not above or "\nExample:\n  edge-potion" in PAGES[name], name
    assert {"edge-potion encode", "edge-potion classify", "edge-potion classify from-labels"} <= set(PAGES)


def test_choices_are_those_that_there_are():
    assert get_args(Graph) == ("auto", *GRAPHS) and get_args(Precision) == tuple(PRECISIONS)
    page = " ".join(PAGES["edge-potion encode"].split())
    assert f"--graph auto|{'|'.join(GRAPHS)}" in page and f"--precision {'|'.join(PRECISIONS)}" in page
    assert f"auto, {', '.join(PROVIDERS)}, or ONNX Runtime's own name" in page


def test_what_evaluates_and_benchmarks_exit_codes_mean_is_told_and_how_a_suite_lies():
    for command in ("evaluate", "benchmark"):
        assert "Exit codes: 0" in PAGES[f"edge-potion {command}"]
    assert "  suite/STS16/test.jsonl.gz              sentence1, sentence2, score\n" in PAGES["edge-potion evaluate"]


def test_each_source_that_evaluate_takes_has_an_example():
    page = PAGES["edge-potion evaluate"]
    examples = " ".join(page[page.index("\nExample:") : page.index("\nArguments:")].replace("\\", "").split())
    assert all(f" {source}" in examples for source in ("--data my.csv", "--pairs faq.csv", "--suite mteb"))


def test_help_loads_nothing_that_it_does_not_show():
    script = f"""
import contextlib, io, sys
from edge_potion.cli import main
for words in ([], *{[name.split()[1:] for name in PAGES]!r}):
    sys.argv = ["edge-potion", *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
heavy = {{"numpy", "rich", "pydantic", "onnxruntime", "tokenizers", "torch", "transformers", "huggingface_hub", "tqdm"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_is_a_command_too():
    assert edge_potion("help", "encode").stdout == edge_potion("encode", "-h").stdout
    assert edge_potion("help").stdout == edge_potion("--help").stdout
    said = edge_potion("help", "classify", "run").stdout
    assert said == edge_potion("classify", "run", "-h").stdout and said.startswith("Usage: edge-potion classify run ")
    assert edge_potion("help", "classify").stdout == edge_potion("classify", "--help").stdout
    for words, complaint in (
        (["enc"], "No such command 'enc'"),
        (["classify", "walk"], "No such command 'walk'"),
        (["encode", "run"], "edge-potion encode has no commands of its own, such as 'run'"),
    ):
        done = edge_potion("help", *words, code=2)
        assert complaint in done.stderr and done.stdout == ""


def test_the_version_is_told_by_each_of_its_names():
    from edge_potion import __version__

    for words in (["--version"], ["-V"]):
        assert edge_potion(*words).stdout == f"edge-potion {__version__}\n"
    done = subprocess.run([sys.executable, "-m", "edge_potion", "encode", "-h"], capture_output=True, text=True)
    assert done.stdout.startswith("Usage: edge-potion encode [OPTIONS] [INPUT]...\n")


COMPLETIONS = {
    "bash": "COMP_WORDS='{}' COMP_CWORD={} _EDGE_POTION_COMPLETE=complete_bash $EP",
    "zsh": "_TYPER_COMPLETE_ARGS='{}' _EDGE_POTION_COMPLETE=complete_zsh $EP",
    "fish": "_TYPER_COMPLETE_ARGS='{}' _TYPER_COMPLETE_FISH_ACTION=get-args _EDGE_POTION_COMPLETE=complete_fish $EP",
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_a_shell_completes_commands_options_and_choices(name):
    for line, completed in (
        ("edge-potion ev", "evaluate"),
        ("edge-potion encode --trunc", "--truncate-dim"),
        ("edge-potion search --graph to", "tokens"),
        ("edge-potion encode --qui", "--quiet"),
        ("edge-potion classify from", "from-labels"),
        ("edge-potion classify train --tune ta", "table"),
    ):
        done = shell(COMPLETIONS[name].format(line, len(line.split()) - 1))
        assert completed in done.stdout and "benchmark" not in done.stdout, done.stderr


def test_completion_is_shown_and_installed_for_the_shell_that_asks(tmp_path):
    script = shell("$EP --show-completion; true").stdout
    assert "_EDGE_POTION_COMPLETE=complete_bash" in script and "complete -o" in script
    said = shell("$EP --install-completion; true", HOME=str(tmp_path)).stdout
    assert "bash completion installed" in said
    assert "edge-potion" in (tmp_path / ".bashrc").read_text()
