"""Bulk: files of texts -> a folder of shards of vectors, by many workers, going on after a stop."""
