"""A benchmark's report, and the ways it is shown."""
