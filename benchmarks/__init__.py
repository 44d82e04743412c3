"""Benchmarks: speed side by side with peers, each run printing a table for people and JSON for machines."""
