from __future__ import annotations

from raysynth.cluster.made_once import made_once


def test_each_pipeline_makes_its_own_once_and_the_newest_is_kept():
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return f"{name}{len(made)}"

    assert [made_once(name, lambda name=name: make(name)) for name in "aabba"] == ["a1", "a1", "b2", "b2", "a3"]
    assert made == ["a", "b", "a"]


def test_what_fails_is_tried_again():
    def fail() -> int:
        raise OSError("unreachable")

    for make, expected in ((fail, None), (lambda: 0, 0), (fail, 0)):  # 0 is a value as well
        try:
            assert made_once("tried again", make) == expected
        except OSError:
            assert expected is None
