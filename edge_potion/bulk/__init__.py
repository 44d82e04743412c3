"""Bulk: files of texts -> a folder of shards of vectors; by any number of processes or machines, resumable."""
