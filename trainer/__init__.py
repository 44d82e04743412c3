"""The trainer: a sentence-transformer teacher -> a static model folder. Needs the `train` extra."""

from edge_potion.errors import require

require("torch", "transformers", extra="train", purpose="training and distilling")
