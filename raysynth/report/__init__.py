"""The report of an evaluation and the figures of a sweep."""
