"""The two ways in which a command can end badly through no fault of ours."""


class UserError(Exception):
    """A user's mistake: one line that names the option or file, the value and the remedy (exit status 2)."""


class TrainingStopped(Exception):
    """A training that cannot go on (a non-finite loss): what happened, when, and what to try (exit status 1)."""
