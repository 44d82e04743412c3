"""`edge-potion import`: word vectors by others -> a model folder."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import TextColumnOption

Tokenizer = Literal["words", "whitespace"]


def import_word_vectors(
    file: Annotated[
        str,
        typer.Argument(help="Word vectors: .txt, .vec, word2vec's .bin, packed or not, or .npy.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Of the model to write.")],
    words: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For an .npy: a file with the word of each row, a line each, or a column of a table."
        ),
    ] = None,
    text_column: TextColumnOption = "text",
    tokenizer: Annotated[
        Tokenizer,
        typer.Option(
            metavar="words|whitespace",
            help="How texts are split: signs of punctuation set apart, or at white space alone.",
        ),
    ] = "words",
    lower_case: Annotated[
        bool | None,
        typer.Option(
            "--lower-case/--keep-case",
            help="Lower-case words and texts, or neither. By default they are lower-cased where no word of the file "
            "has an upper-case letter.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Take the first N words of the file alone, which are the most frequent."),
    ] = None,
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize/--keep-length",
            help="Give vectors of texts the length 1, as is done unless told, or leave them the mean that they are.",
            show_default=False,
        ),
    ] = True,
    licence: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Of the word vectors, for the model's card, such as pddl.", show_default=False
        ),
    ] = "",
) -> None:
    """Turn word vectors (GloVe, fastText, word2vec) into a static model, which is exported and run as any other.

    A text becomes the mean of the vectors of its words; a word that the file does not have counts for nothing.

    Files are told apart by their names. Text holds a word and its numbers a line, between spaces; a first line may
    say how many words of how many dimensions follow. word2vec's binary form is called .bin; a .bin of fastText's own is
    another thing, and is refused. Both may be packed: .gz, .bz2, .xz, .zst, or .zip; in a .zip of several files one is
    named behind it. An .npy holds an array of shape (words, dimensions), and --words names the file with the words.
    What is pickled is never read.

    How texts are split: the texts that such vectors are made from were split at white space, mostly once signs of
    punctuation had been set apart. --tokenizer words does so to your texts, and sets each sign apart, within words too.
    --tokenizer whitespace is for texts that are tokenized before, and for files whose words hold signs, as "New_York"
    or "n't". Words of the file that no text can have are left out, and so are those whose vectors are zeros, and all
    but the first of equal ones; each is told.

    Example: edge-potion import glove.6B.zip/glove.6B.300d.txt --limit 100000 --licence pddl --out my-glove

    Example: edge-potion import cc.de.300.vec.gz --lower-case --out my-fasttext

    Example: edge-potion import vectors.npy --words words.txt --out my-model
    """
    from edge_potion.static_model import StaticModel
    from edge_potion.writing import refuse_unwritable

    refuse_unwritable(out)
    model = StaticModel.from_word_vectors(
        file,
        words=words,
        text_column=text_column,
        tokenizer=tokenizer,
        lower_case=lower_case,
        limit=limit,
        normalize=normalize,
        licence=licence,
        show_progress=True,
    )
    model.save_pretrained(out)
    case = "lower-cased" if model.tokenizer.normalizer.lowercase else "upper and lower case"
    print(f"{out}: {len(model.table) - 2:,} words x {model.dim} dimensions, {case}")
    print(f"next: edge-potion export {out} --quantize int8", file=sys.stderr)


import_word_vectors.__name__ = "import"  # what the command is called; no function of Python's can be
