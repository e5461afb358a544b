"""raysynth: do synthetic images help my classifier, by how much, and how sure can I be?

The verbs of the command line are functions of `raysynth.api`.
"""

from importlib.metadata import version

__version__ = version("raysynth")
