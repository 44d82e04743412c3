"""The commands that make a model, and give it away: distill, train, featurize, recipe, export, push."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_potion.bundle import GRAPHS
from edge_potion.errors import InputError
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .options import AddressOption, ModelArgument, RevisionOption, TextColumnOption, instead, short_name, words_of
from .show import print_bundle

__all__ = ["distill", "export", "featurize", "push", "recipe", "train"]

USUAL_DIMS = 256  # of a distilled model

RecipeOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="One that `edge-potion recipe` lists, such as potion-256d-minilm; or a .toml file of yours.",
    ),
]
TeacherOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Folder or hub id of a sentence-transformer; else the recipe's.")
]
CorpusOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Sentences: .txt, .jsonl, .csv, .tsv (or .gz, .bz2, .xz, .zst of these) or .parquet; may be repeated. "
        "Else the recipe's set.",
    ),
]
LanguagesOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="By comma, such as de,fr,sw: each takes the place of {language} in the names of --corpus, or of the "
        "recipe's set. Else the recipe's.",
    ),
]
DeviceOption = Annotated[str | None, typer.Option(metavar="cpu|cuda", help="By default cuda where there is one.")]
TrustOption = Annotated[bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the teacher.")]


def distill(
    teacher: Annotated[
        str, typer.Argument(help="Folder or hub id of a transformers encoder (a sentence-transformer).")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Of the static model to write.")],
    former_out: Annotated[
        str | None,
        typer.Argument(
            hidden=True, expose_value=False, callback=instead("the model's folder is an option: --out FOLDER")
        ),
    ] = None,
    dims: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Width of the vectors, by PCA; 256, or less for a narrower teacher."),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Extra words for the vocabulary: texts as `encode` reads them, most frequent first."
        ),
    ] = None,
    text_column: TextColumnOption = "text",
    device: DeviceOption = None,
    revision: RevisionOption = None,
    trust_remote_code: TrustOption = False,
) -> None:
    """Turn a sentence-transformer into a static model, without any training text (Model2Vec's method).

    Example: edge-potion distill sentence-transformers/all-MiniLM-L6-v2 --out my-model --dims 256
    """
    from edge_potion.texts import read_texts
    from edge_potion.trainer.distill import distill
    from edge_potion.trainer.recipe import DistillRecipe
    from edge_potion.trainer.teacher import load_teacher
    from edge_potion.writing import refuse_unwritable

    refuse_unwritable(out)
    extra = list(read_texts(words, text_column)) if words else ()
    loaded = load_teacher(teacher, revision=revision, device=device, trust_remote_code=trust_remote_code)
    if dims is not None and dims > loaded.width:
        raise InputError(f"--dims is {dims}, and the teacher's vectors have {loaded.width}; ask for no more")
    width = dims or min(USUAL_DIMS, loaded.width)
    model = distill(loaded, DistillRecipe(dims=width, vocabulary_size=None), words=extra, show_progress=True)
    if dims is not None and dims > model.dim:
        raise InputError(f"--dims is {dims}, and {len(model.table)} tokens span {model.dim}; ask for no more")
    model.save_pretrained(out)
    print(f"{out}: {len(model.table)} tokens x {model.dim} dimensions")
    print(f"next: edge-potion export {out} --quantize int8", file=sys.stderr)


def train(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Of the run; the model goes to FOLDER/model.")],
    recipe: RecipeOption = "potion-256d",
    teacher: TeacherOption = None,
    corpus: CorpusOption = None,
    text_column: TextColumnOption = "text",
    languages: LanguagesOption = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="The teacher's vectors of the texts, made before, so that stage 2 is left out: a folder by "
            "`featurize`, or of .parquet files with columns text and vector. May be repeated: one for each teacher of "
            "the recipe, in its order; where that names one teacher, each further folder is one more, of weight 1.",
        ),
    ] = None,
    from_stage: Annotated[
        int | None, typer.Option(metavar="N", help="Make the stages from this number on anew, 1 to 6.")
    ] = None,
    device: DeviceOption = None,
    revision: RevisionOption = None,
    trust_remote_code: TrustOption = False,
    push_to_hub: Annotated[
        str | None,
        typer.Option(metavar="USER/NAME", help="Upload the model to the hub when it is done, as `push` does."),
    ] = None,
) -> None:
    """Train a static model by a whole recipe: distill, featurize, contrast, born-again, power, PCA.

    The same command goes on where a killed one stopped. Each stage stays in OUT, with its losses, times and curves.

    What `edge-potion recipe` prints, and explains, is all that a recipe can ask for: among it further teachers
    ([[others]]), whose vectors are joined to those of the first, and space = "teacher", for a model whose queries are
    compared with texts that the teacher itself encoded (the recipe query-encoder).

    Example: edge-potion train --recipe potion-256d-minilm --corpus sentences.txt.xz --out my-run
    """
    from edge_potion.push import check_push
    from edge_potion.push import push as upload
    from edge_potion.trainer.pipeline import train as run_recipe
    from edge_potion.trainer.summary import as_table

    if push_to_hub is not None:
        check_push(push_to_hub)  # before hours of work
    trained = run_recipe(
        recipe,
        out,
        from_stage=from_stage,
        teacher=teacher,
        corpus=corpus or (),
        text_column=text_column,
        languages=words_of(languages) if languages is not None else (),
        features=features or None,
        device=device,
        revision=revision,
        trust_remote_code=trust_remote_code,
        show_progress=True,
    )
    print(as_table(trained.summary))
    phrases = f" and {len(trained.model.phrases)} phrases" if trained.model.phrases else ""
    print(f"{trained.folder}: {trained.model.pieces} tokens{phrases} x {trained.model.dim} dimensions")
    if push_to_hub is not None:
        print(upload(trained.folder, push_to_hub))
    print(f"next: edge-potion export {trained.folder} --quantize int8", file=sys.stderr)


def featurize(
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Of the run; the shards go to FOLDER/2-featurize, of a second teacher to FOLDER/2-featurize-2.",
        ),
    ],
    recipe: RecipeOption = "potion-256d",
    teacher: TeacherOption = None,
    corpus: CorpusOption = None,
    text_column: TextColumnOption = "text",
    languages: LanguagesOption = None,
    device: DeviceOption = None,
    revision: RevisionOption = None,
    trust_remote_code: TrustOption = False,
    only: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Of a recipe with several teachers, the number of the one that encodes: 1 is its own, 2 the first of "
            "the others. By default all do.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(metavar="local|ray", help="This machine, or a Ray cluster.")
    ] = "local",
    address: AddressOption = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Workers on Ray; by default as many as the cluster has room for."),
    ] = None,
    cpus_a_worker: Annotated[float | None, typer.Option(metavar="X", min=0, help="Of each worker on Ray; 1.")] = None,
    gpus_a_worker: Annotated[float | None, typer.Option(metavar="X", min=0, help="Of each worker on Ray; 0.")] = None,
) -> None:
    """Encode a corpus with the recipe's teacher, or teachers, and stop there: on a GPU or a Ray cluster, say.

    The same command goes on at the last whole shard. `train --features OUT` takes them, and so does `datasets`.

    Example: edge-potion featurize --recipe potion-256d-minilm --corpus sentences.txt.xz --out my-features
    """
    asked = {"address": address, "workers": ray_workers, "cpus": cpus_a_worker, "gpus": gpus_a_worker}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if engine == "local" and given:
        raise InputError("--address, --ray-workers, --cpus-a-worker and --gpus-a-worker are for --engine ray")
    from edge_potion.trainer.featurize_on_ray import OnRay
    from edge_potion.trainer.pipeline import featurize_corpus

    folders = featurize_corpus(
        recipe,
        out,
        only=only,
        teacher=teacher,
        corpus=corpus or (),
        text_column=text_column,
        languages=words_of(languages) if languages is not None else (),
        device=device,
        revision=revision,
        trust_remote_code=trust_remote_code,
        show_progress=True,
        on_ray=OnRay(**given) if engine == "ray" else None,
    )
    print("\n".join(map(str, folders)))


def recipe(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a recipe, or a .toml file; without one, what ships is listed."),
    ] = None,
) -> None:
    """Print a recipe with every key, what it means, and its default: a file to begin your own with.

    Example: edge-potion recipe potion-256d > mine.toml
    """
    from edge_potion.trainer.explained import explained
    from edge_potion.trainer.recipe_file import load_recipe, shipped_recipes

    if name is not None:
        print(explained(load_recipe(name)), end="")
        return
    for shipped, words in shipped_recipes().items():
        print(f"{shipped:20} {words}")
    print("next: edge-potion recipe potion-256d > mine.toml; edge-potion train --recipe mine.toml", file=sys.stderr)


def export(
    model: ModelArgument = BUILT_IN,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Of the bundle; by default the model's name + '-onnx', or + '-without-phrases-onnx' of that one.",
        ),
    ] = None,
    quantize: Annotated[
        str,
        typer.Option(metavar="LIST", help="Precisions, by comma: int8, float16, none (that is float32, also a word)."),
    ] = "int8",
    graphs: Annotated[str, typer.Option(metavar="LIST", help=f"By comma: {', '.join(GRAPHS)}; or all.")] = "all",
    token_embeddings: Annotated[
        bool,
        typer.Option(
            "--token-embeddings",
            help="Give the tokens graph an output with each token's vector, which transformers.js needs.",
        ),
    ] = False,
    mobile: Annotated[
        bool,
        typer.Option("--mobile", help="Add mobile/: .ort files for phones, and a graph of fixed shape with int32 ids."),
    ] = False,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Tokens that the graph of fixed shape takes.")
    ] = 128,
    revision: RevisionOption = None,
    without_phrases: Annotated[
        bool,
        typer.Option(
            "--without-phrases",
            help="Of a model with phrases take the one that was trained without them, which Model2Vec and "
            "sentence-transformers load too.",
        ),
    ] = False,
) -> None:
    """Write a bundle: ONNX graphs with a quantized table, checked against the oracle before they are handed out.

    Example: edge-potion export my-model --quantize int8,float16 --out my-bundle
    """
    from edge_potion.exporters.export import export as write_bundle
    from edge_potion.exporters.graph_builder import IR_VERSION, OPSET
    from edge_potion.exporters.mobile import DETAILS, MOBILE

    logging.getLogger("edge_potion.export").setLevel(logging.ERROR)  # what it warns of is told below
    bundle = write_bundle(
        model,
        out or Path(f"{short_name(model)}{'-without-phrases' if without_phrases else ''}-onnx"),
        quantize=words_of(quantize),
        graphs="all" if graphs == "all" else words_of(graphs),
        token_embeddings=token_embeddings,
        mobile=mobile,
        max_tokens=max_tokens,
        revision=revision,
        without_phrases=without_phrases,
    )
    print_bundle(bundle)
    if mobile:
        page = (bundle.folder / MOBILE / "README.md").read_text(encoding="utf-8")
        print(f"\n{page.partition(DETAILS)[0].strip()}\n\n{bundle.folder / MOBILE / 'README.md'} has the details")
    for remark in bundle.remarks:
        print(f"note: {terminal(remark)}")
    print(
        f"opset {OPSET}, IR version {IR_VERSION}; every graph agrees with the oracle on the golden texts and on every "
        "token that a text can have"
    )


def push(
    folder: Annotated[Path, typer.Argument(help="A model folder, by `distill` or `train`; or a bundle, by `export`.")],
    hub_id: Annotated[str, typer.Argument(metavar="USER/NAME", help="Of the repository; made where it is not there.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a repository that others do not see; refused where it is public.")
    ] = False,
) -> None:
    """Upload a model or a bundle to the model hub, and print its address.

    First it is checked: that a bundle is what was exported, file by file, that a model can be loaded, and that the hub
    knows you (`hf auth login`). What is no part of it stays here, and is named on stderr.

    Example: edge-potion push my-bundle me/my-model
    """
    from edge_potion.push import push as upload

    print(upload(folder, hub_id, private=private))
