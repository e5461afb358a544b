"""The ways in which a command can end early through no fault of ours."""


class UserError(Exception):
    """A user's mistake: one line that names the option or file, the value and the remedy (exit status 2)."""


class TrainingStopped(Exception):
    """A training that cannot go on (a non-finite loss): what happened, when, and what to try (exit status 1)."""


class NotUploaded(TrainingStopped):
    """What was made could not be brought to its bucket: why, and where the copy is that is left (exit status 1)."""


class Interrupted(Exception):
    """The user stopped a verb (Ctrl-C); the message says how to go on (exit status 130).

    No KeyboardInterrupt: the command line's library would take that for itself, and the message would be lost.
    """
