"""Pruning: a model keeps only the pieces that a corpus of one's languages uses."""
