"""The audit: copies, groups, leakage, label conflicts and shortcuts of a data set."""
