"""Which new images cannot be taken in, as their group lies on two sides."""

from hypothesis import given
from hypothesis import strategies as st

from raysynth.data.allocation import conflicting_groups, conflicts

PARTS = st.sampled_from(["train", "test", None])


def test_the_reason_names_both_splits_and_an_image_of_each():
    groups = ["a", "a", "a", "a", "b", "b"]
    keep = ["train", None, "test", "train", "test", None]
    reasons = conflicts(groups, keep, names=["y.png", "new.png", "t.png", "z.png", "u.png", "fine.png"])
    assert list(reasons) == [1]
    assert "t.png (test) and y.png (train)" in reasons[1]


@given(rows=st.lists(st.tuples(st.sampled_from("abc"), PARTS), max_size=20))
def test_new_images_are_rejected_exactly_if_their_group_lies_in_two_parts(rows):
    groups, keep = [group for group, _ in rows], [part for _, part in rows]
    rejected = conflicts(groups, keep, [str(row) for row in range(len(rows))])
    for row, (group, part) in enumerate(rows):
        sides = {other for of_group, other in rows if of_group == group} - {None}
        assert (row in rejected) == (part is None and len(sides) == 2)
    assert {groups[row] for row in rejected} == conflicting_groups(groups, keep)
