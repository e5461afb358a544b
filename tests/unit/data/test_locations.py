"""What a text names: a local path, or a place in a bucket."""

from pathlib import Path

import pytest

from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import locate, refuse_bucket
from raysynth.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://brain/mri", BucketPath("s3", "brain", "mri")),
        ("gs://brain/mri/2", BucketPath("gs", "brain", "mri/2")),
        ("s3://brain", BucketPath("s3", "brain")),
        ("s3://brain//mri/", BucketPath("s3", "brain", "mri")),
        (Path("s3://brain/mri"), BucketPath("s3", "brain", "mri")),  # a Path has one slash left
        ("s3://brain/a b/why?.png", BucketPath("s3", "brain", "a b/why?.png")),
        (
            "s3://brain/mri?endpoint_override=localhost:9000&scheme=http",
            BucketPath("s3", "brain", "mri", "endpoint_override=localhost:9000&scheme=http"),
        ),
        ("data/brain", Path("data/brain")),
        ("/s3/brain", Path("/s3/brain")),
        ("s3", Path("s3")),
    ],
)
def test_a_text_names_a_local_path_or_a_place_in_a_bucket(text, expected):
    assert locate(text) == expected
    assert locate(locate(text)) == expected


@pytest.mark.parametrize("text", ["s3://", "s3://AKIA:secr3t@brain/mri", "s3://AKIA:sec/r3t@brain", "https://x.org/a"])
def test_what_is_no_place_is_refused_and_no_secret_is_shown(text):
    with pytest.raises(BucketError) as refused:
        locate(text)
    assert "s3://BUCKET" in str(refused.value)
    assert "r3t" not in str(refused.value)


@pytest.mark.parametrize("place", ["s3://brain/page.html", Path("s3://brain/page.html"), "gs://brain/page.html"])
def test_what_is_for_this_machine_is_not_put_in_a_bucket(place):
    with pytest.raises(UserError, match=r"^--out (s3|gs)://brain/page.html: cannot be in a bucket"):
        refuse_bucket(place, "--out")
