"""Sentences from packages whose texts are translated: real packages, made by dpkg-deb."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from edge_potion.benchmarks.studies.help_sentences import write_sentences
from edge_potion.errors import InputError

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="packages are made and read by dpkg-deb")
CONTROL = "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: texts\n"
GERMAN = """<html><head><title>Keine Überschrift zählt hier.</title><script>var x = "Kein Satz.";</script></head><body>
<h1>Eine Überschrift ist kein Satz.</h1><nav><p>Hier geht es zum Inhalt.</p></nav>
<p class="paragraph">Der Hund <span class="emph">schläft</span> im&nbsp;Garten. Die Katze
sucht die Maus.
<p>Drücken Sie <span hidden="true">Befehl</span><span hidden="true">Strg</span>, um zu beginnen.
Danach geht es weiter.</p>
<ul><li>Wir gehen <a href="x.html">morgen</a> in die Stadt<li>Die Katze sucht die Maus.</ul>
<pre>print("Das ist Code.")</pre><p>Das Ergebnis von <code>a + b</code> ist eine Zahl.</p>
<p>This page has not been translated.</p><p>With this you will see that it is not German.</p>
<p>Kurz.</p><p>Nur Marke</p>
</body></html>"""
ENGLISH = "<p>This page has not been translated.</p><p>The dog sleeps.</p>"
RUSSIAN = """<page><info><desc>Это не абзац.</desc></info><p>Кошка спит на окне. Собака лает</p>
<list><item><p>Мы идём в город.</p></item></list><p>Menu File Open Recent</p></page>"""


def packed(folder: Path, name: str, files: dict[str, str | bytes]) -> None:
    """Write `folder`/`name`_1_all.deb of `files`, by their paths."""
    tree = folder / "trees" / name
    for path, content in {"DEBIAN/control": CONTROL.format(name=name), **files}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content.encode() if isinstance(content, str) else content)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, folder / f"{name}_1_all.deb"], check=True)


def catalogue(messages: dict[str, str]) -> bytes:
    """A .mo file."""
    texts = [text.encode() for side in (messages, messages.values()) for text in side]
    tables, place = b"", 28 + 8 * len(texts)
    for text in texts:
        tables += struct.pack("<2I", len(text), place)
        place += len(text) + 1
    count = len(messages)
    header = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    return header + tables + b"".join(text + b"\0" for text in texts)


def lines(out: Path, language: str) -> list[str]:
    with lzma.open(out / f"sentences.{language}.txt.xz", "rt", encoding="utf-8") as stream:
        return stream.read().splitlines()


@pytest.fixture
def packages(tmp_path) -> Path:
    packed(tmp_path, "help-de", {"usr/share/help/de/text/a.html": GERMAN})
    packed(tmp_path, "help-en", {"usr/share/help/en-US/text/a.html": ENGLISH})
    packed(tmp_path, "help-ru", {"usr/share/help/ru/text/a.page": RUSSIAN})
    return tmp_path


def test_pages_give_the_sentences_of_their_paragraphs_and_items_once(packages):
    counts = write_sentences(packages, packages / "out")
    assert lines(packages / "out", "de") == [
        "Der Hund schläft im Garten.",
        "Die Katze sucht die Maus.",
        "Danach geht es weiter.",
        "Wir gehen morgen in die Stadt",
    ]
    assert lines(packages / "out", "ru") == ["Кошка спит на окне.", "Мы идём в город."]
    assert lines(packages / "out", "en") == ["This page has not been translated.", "The dog sleeps."]
    assert counts == {"de": {"help-de": 4}, "en": {"help-en": 2}, "ru": {"help-ru": 2}}


def test_texts_of_an_evaluation_are_left_out_of_every_file_whatever_their_case_and_marks(packages):
    pairs = packages / "pairs.jsonl.gz"
    row = {"language": "deu", "text": "die Katze sucht die Maus!", "english": "The dog sleeps"}
    pairs.write_bytes(gzip.compress(json.dumps(row).encode()))
    write_sentences(packages, packages / "out", pairs)
    assert "Die Katze sucht die Maus." not in lines(packages / "out", "de")
    assert lines(packages / "out", "en") == ["This page has not been translated."]


def test_a_language_of_too_few_sentences_is_not_written(packages):
    assert list(write_sentences(packages, packages / "out", fewest=3)) == ["de"]
    assert [file.name for file in (packages / "out").iterdir()] == ["sentences.de.txt.xz"]


def test_catalogues_messages_sayings_and_descriptions_give_sentences_too(tmp_path):
    messages = {
        "": "Language: fr\n",
        "Open": "Ouvrir",
        "Who is\nthere?": "Qui est\nlà ?",
        "%s is gone.": "%s est parti.",
    }
    packed(tmp_path, "game", {"usr/share/locale/fr/LC_MESSAGES/game.mo": catalogue(messages)})
    packed(tmp_path, "wiki", {"usr/share/ve/i18n/pt-br.json": json.dumps({"a": "A página foi salva.", "b": "Salvar"})})
    packed(tmp_path, "fortunes-it", {"usr/share/games/fortunes/it/detti": "Chi va piano\nva sano.\n\t-- Detto\n%\n"})
    apt = "Package: a\nDescription-da: Et spil\n Spillet foregår i\n fremtiden.\n .\n"
    apt += "  * Man kan vinde.\n  * Eller tabe igen.\n"
    (tmp_path / "example.org_main_i18n_Translation-da").write_text(apt, encoding="utf-8")
    write_sentences(tmp_path, tmp_path / "out")
    found = {language: lines(tmp_path / "out", language) for language in ("fr", "en", "pt", "it", "da")}
    assert found == {
        "fr": ["Qui est là ?"],
        "en": ["Who is there?"],
        "pt": ["A página foi salva."],
        "it": ["Chi va piano va sano."],
        "da": ["Spillet foregår i fremtiden.", "Man kan vinde.", "Eller tabe igen."],
    }


def test_scripts_without_spaces_or_with_vowels_as_marks_are_cut_and_what_begins_alike_is_thinned(tmp_path):
    alike = "".join(f"<p>This package contains the word {'a' * number}.</p>" for number in range(1, 40))
    packed(tmp_path, "help", {"usr/share/help/zh_CN/a.html": "<p>猫在窗台上\n睡觉。小狗在院子里叫。</p>"})
    packed(tmp_path, "hilfe", {"usr/share/help/hi/a.html": "<p>मैं हिन्दी में लिखती हूँ। वे घर जा रहे हैं।</p>"})
    packed(tmp_path, "more", {"usr/share/help/C/a.html": alike})
    counts = write_sentences(tmp_path, tmp_path / "out")
    assert lines(tmp_path / "out", "zh") == ["猫在窗台上睡觉。", "小狗在院子里叫。"]
    assert lines(tmp_path / "out", "hi") == ["मैं हिन्दी में लिखती हूँ।", "वे घर जा रहे हैं।"]
    assert counts["en"] == {"more": 20}


def test_a_folder_without_packages_and_a_broken_package_are_told_of(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.deb"):
        write_sentences(tmp_path, tmp_path / "out")
    (tmp_path / "help_1_all.deb").write_bytes(b"not a package")
    with pytest.raises(InputError, match="download it again"):
        write_sentences(tmp_path, tmp_path / "out")
