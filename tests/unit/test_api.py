from __future__ import annotations

import subprocess
import sys

import pytest

from raysynth import api


@pytest.mark.parametrize("name", dir(api))
def test_every_verb_is_a_function_with_a_docstring(name):
    function = getattr(api, name)
    assert callable(function)
    assert function.__name__ == name
    assert function.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        api.trane  # noqa: B018


def test_importing_it_is_light():
    code = "import sys, raysynth.api; print([m for m in ('torch', 'ray', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
