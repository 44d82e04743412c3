"""The key that was meant: by what people call it elsewhere, in this section or another, or by its letters."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

__all__ = ["meant"]

AT_THE_TOP = ("teacher", "space", "others")
SURELY = 0.9  # likeness of letters, from which nothing else is meant

# What people call a key elsewhere.
SYNONYMS = {
    **dict.fromkeys(("lr", "lr_rate", "rate", "step_size", "learningrate"), "learning_rate"),
    **dict.fromkeys(("epoch", "num_epochs", "n_epochs", "num_train_epochs", "passes"), "epochs"),
    **dict.fromkeys(("bs", "batch", "batchsize", "batches", "per_device_train_batch_size"), "batch_size"),
    **dict.fromkeys(("dim", "dimension", "dimensions", "width", "pca_dims", "hidden_dim", "embedding_dim"), "dims"),
    **dict.fromkeys(("vocab", "vocab_size", "vocabulary", "vocabulary_quantization"), "vocabulary_size"),
    **dict.fromkeys(("sif", "apply_zipf", "zipf"), "sif_coefficient"),
    **dict.fromkeys(("temp", "tau", "scale"), "temperature"),
    **dict.fromkeys(("num_sentences", "n_sentences", "samples", "num_samples", "rows"), "sentences"),
    **dict.fromkeys(("random_seed", "random_state", "rng"), "seed"),
    **dict.fromkeys(("max_length", "max_seq_length", "seq_length", "max_len"), "max_tokens"),
    **dict.fromkeys(("dtype", "torch_dtype", "fp16", "bf16"), "precision"),
    **dict.fromkeys(("pool", "pooling_mode"), "pooling"),
    **dict.fromkeys(("prefix", "instruction", "query_prompt", "prompt_name", "default_prompt_name"), "prompt"),
    **dict.fromkeys(("power", "exp", "gamma"), "exponent"),
    **dict.fromkeys(("early_stopping", "early_stopping_patience"), "patience"),
    **dict.fromkeys(("evals", "eval_steps", "num_evaluations"), "evaluations"),
    **dict.fromkeys(("dataset", "data_set", "data", "path", "corpus_name"), "source"),
    **dict.fromkeys(("config", "config_name", "name"), "subset"),
    **dict.fromkeys(("language", "langs"), "languages"),
    **dict.fromkeys(("val_rows", "validation", "validation_size", "eval_rows"), "validation_rows"),
    **dict.fromkeys(("loss_fn", "objective", "criterion"), "loss"),
    **dict.fromkeys(("weights", "use_weights", "learn_weights"), "token_weights"),
    **dict.fromkeys(("shard_size", "rows_per_shard"), "shard_rows"),
    **dict.fromkeys(("min_length", "min_chars"), "min_characters"),
    **dict.fromkeys(("max_chars",), "max_characters"),
    **dict.fromkeys(("distil", "distillation", "model2vec"), "distill"),
    **dict.fromkeys(("featurise", "features"), "featurize"),
    **dict.fromkeys(("bornagain", "self_distillation", "born-again"), "born_again"),
    **dict.fromkeys(("contrastive", "training", "train"), "contrast"),
    **dict.fromkeys(("model", "teacher_name", "base_model"), "teacher"),
    **dict.fromkeys(("teachers", "other", "more_teachers"), "others"),
}


def meant(key: str, known: Collection[str], keys: Mapping[str, Collection[str]]) -> str:
    """What a key that is not there may have meant, as the end of a sentence.

    Args:
        key: as it was written.
        known: the keys of its section.
        keys: those of each section, by its name.
    """
    word = key.lower().replace("-", "_")
    nearly = difflib.get_close_matches(word, sorted(known), n=1, cutoff=SURELY)
    word = nearly[0] if nearly else SYNONYMS.get(word, word)
    if word in known:
        return f"did you mean {word!r}?"
    if word in keys or word in AT_THE_TOP:
        return f"{word!r} stands at the top of a recipe"
    homes = [f"[{name}]" for name, of_section in keys.items() if word in of_section]
    if homes:
        return f"{', '.join(homes)} {'has' if len(homes) == 1 else 'have'} {word!r}"
    near = difflib.get_close_matches(word, sorted(known), n=1) or difflib.get_close_matches(word, sorted(keys), n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
