"""`audit` of data sets on disk: the content of its files, and the refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from raysynth.data.audit import audit as module
from raysynth.data.audit.audit import audit
from raysynth.data.audit.summary import long_lines
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.phantom_volumes import draw_volume
from raysynth.errors import UserError

pytestmark = pytest.mark.usefixtures("few_trees")

SPLITS = ["train"] * 7 + ["validation"] * 2 + ["test"] * 3
KEYS = [
    *("format", "name", "fingerprint", "images", "blank", "compared", "thresholds"),
    *("exact", "near", "mirrored", "rotated", "inverted"),
    *("groups", "leakage", "label_conflicts", "shortcuts", "cross", "seconds"),
]
COLUMNS = [
    *("id_a", "id_b", "path_a", "path_b", "relation", "score"),
    *("split_a", "split_b", "class_a", "class_b"),
]


def run(place, **options):
    return audit(place, say=lambda line: None, **options)


@pytest.fixture
def own(make_set, draw, change) -> Dataset:
    """Nine patients; copies of the first three, as test images: identical, mirrored, and turned in the other class."""
    pictures = draw(9, 6)
    copies = [change(pictures[0], "none"), change(pictures[1], "left-right"), change(pictures[2], "half turn")]
    return make_set(
        "own",
        np.stack([*pictures, *copies]),
        ["a"] * 5 + ["b"] * 4 + ["a", "a", "b"],
        SPLITS,
        source_path=[f"files/{i}.png" for i in range(12)],
        source_split=["train"] * 9 + ["test"] * 3,
        source_width=[200] * 12,
        source_height=[100] * 12,
        source_format=["PNG"] * 12,
    )


@pytest.fixture
def public(make_set, draw, change, own) -> Dataset:
    """Five others, a near copy of a test image and a mirrored one of a train image, whose class is called otherwise."""
    thumbnails = own.read(["thumbnail"])["thumbnail"].combine_chunks().to_numpy_ndarray()
    copies = [change(thumbnails[9], "gamma"), change(thumbnails[5], "up-down")]
    return make_set("public", np.stack([*draw(5, 7), *copies]), ["a"] * 4 + ["bee"] * 2 + ["a"], ["train"] * 7)


def test_the_files_say_what_was_found(own, tmp_path):
    found = run(own.path, out=tmp_path / "audit", json_file=tmp_path / "alone.json")
    assert sorted(file.name for file in (tmp_path / "audit").iterdir()) == ["audit.json", "audit.png", "pairs.parquet"]
    content = json.loads((tmp_path / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert list(content) == KEYS
    assert content == json.loads((tmp_path / "alone.json").read_text(encoding="utf-8")) == found.content
    assert (content["name"], content["fingerprint"], content["images"]) == ("own", own.fingerprint, 12)
    assert [content[name]["pairs"] for name in ("exact", "near", "mirrored", "rotated")] == [1, 0, 1, 1]
    assert content["thresholds"]["score"] == Thresholds().score
    assert content["groups"]["num_groups"] == 9
    assert content["groups"]["given"] == 0
    for split in ("in force", "folders"):
        assert content["leakage"][split]["test_by_class"] == {"a": {"leaked": 2, "of": 2}, "b": {"leaked": 1, "of": 1}}
    assert content["label_conflicts"]["pairs"] == 1
    assert content["label_conflicts"]["listed"][0]["path_a"] == "files/2.png"
    assert content["label_conflicts"]["listed"][0]["path_b"] == "files/11.png"
    rules = [row["rule"] for row in content["shortcuts"]["rules"]]
    assert {"majority class", "width x height", "mean intensity", "nearest neighbour, 32 x 32"} <= set(rules)
    assert content["cross"] == []
    with Image.open(tmp_path / "audit" / "audit.png") as image:
        image.load()
        assert image.format == "PNG"


def test_every_pair_is_a_row_of_the_table(own, tmp_path):
    run(own.path, out=tmp_path / "audit")
    pairs = pd.read_parquet(tmp_path / "audit" / "pairs.parquet")
    assert list(pairs.columns[: len(COLUMNS)]) == COLUMNS
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in pairs[COLUMNS].itertuples(index=False, name=None)]
    assert rows[0] == {
        **{"id_a": "own-000", "id_b": "own-009", "path_a": "files/0.png", "path_b": "files/9.png"},
        **{"relation": "exact", "score": 1.0, "split_a": "train", "split_b": "test", "class_a": "a", "class_b": "a"},
    }
    assert [(row["id_a"], row["id_b"], row["relation"]) for row in rows[1:]] == [
        ("own-001", "own-010", "mirrored"),
        ("own-002", "own-011", "rotated"),
    ]
    assert (rows[2]["class_a"], rows[2]["class_b"]) == ("a", "b")
    assert pairs["orientation"].tolist() == ["upright", "left-right", "half turn"]
    assert not pairs["is_cut"].any()


def test_other_data_sets_are_compared_with_but_not_among_themselves(own, public, make_set, draw, tmp_path):
    foreign = make_set("foreign", np.stack([*draw(3, 8), draw(1, 8)[0]]), ["a"] * 4, ["train"] * 4)
    lines: list[str] = []
    found = audit(own.path, against=[foreign.path, public.path], out=tmp_path / "audit", say=lines.append)
    [nothing, contact] = found.content["cross"]
    assert (nothing["name"], nothing["images_with_a_copy"], nothing["fingerprint"]) == (
        *("foreign", 0),
        foreign.fingerprint,
    )
    assert (contact["name"], contact["images_with_a_copy"], contact["its_images_with_a_copy"]) == ("public", 3, 2)
    assert contact["by_split"] == {
        "train": {"with_a_copy": 2, "of": 7},  # the image 0, whose copy is the test image, as well
        "validation": {"with_a_copy": 0, "of": 2},
        "test": {"with_a_copy": 1, "of": 3},
    }
    assert (contact["classes_compared"], contact["classes_only_there"]) == (["a"], ["bee"])
    assert contact["label_conflicts"]["pairs"] == 0  # own-005 is a `b`: no class there
    assert found.content["exact"]["pairs"] == 1
    pairs = pd.read_parquet(tmp_path / "audit" / "pairs.parquet")
    across = pairs[pairs["data_b"] == "public"]
    assert set(zip(across["id_a"], across["id_b"], across["relation"], strict=True)) == {
        ("own-000", "public-005", "near"),
        ("own-009", "public-005", "near"),
        ("own-005", "public-006", "mirrored"),
    }
    assert set(pairs["data_b"]) == {"own", "public"}


def test_renamed_classes_of_the_others_are_compared(own, public):
    [contact] = run(own.path, against=[public.path], rename={"bee": "b"}).content["cross"]
    assert contact["classes_compared"] == ["a", "b"]
    assert contact["label_conflicts"]["by_classes"] == {"a / b": 3}
    listed = {(row["path_a"], row["path_b"]) for row in contact["label_conflicts"]["listed"]}
    assert listed == {
        ("files/0.png", "public-005"),
        ("files/9.png", "public-005"),
        ("files/5.png", "public-006"),
    }


def test_groups_of_the_user_are_merged_with_the_copies(make_set, draw, change):
    pictures = draw(5, 9)
    dataset = make_set(
        "grouped",
        np.stack([*pictures, change(pictures[0], "left-right")]),
        ["a"] * 6,
        ["train", "test", "train", "train", "test", "validation"],
        source_group=["p", "p", None, "q", "q", None],
    )
    found = run(dataset.path)
    assert found.groups[0] == found.groups[1] == found.groups[5]
    assert found.groups[3] == found.groups[4]
    assert len(set(found.groups)) == 3
    assert found.content["groups"]["given"] == 2
    assert (found.content["leakage"]["in force"]["num_test"], found.content["leakage"]["in force"]["of_test"]) == (2, 2)


def test_a_data_set_without_copies_or_a_test_split_is_audited(make_set, draw, tmp_path):
    dataset = make_set("plain", draw(6, 10), ["only"] * 6, ["train"] * 6)
    found = run(dataset.path, out=tmp_path / "audit")
    assert found.content["leakage"]["in force"]["status"] == "clean"
    assert found.content["shortcuts"] == {"rules": [], "aspect_correlation": None}
    pairs = pd.read_parquet(tmp_path / "audit" / "pairs.parquet")
    assert len(pairs) == 0
    assert list(pairs.columns[: len(COLUMNS)]) == COLUMNS
    assert (tmp_path / "audit" / "audit.png").stat().st_size > 0


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 8, 8)])
def test_colour_images_and_volumes_are_audited(make_set, draw, change, shape):
    pictures = draw(9, 11)
    thumbnails = np.stack([*pictures, change(pictures[0], "up-down")])
    images = np.random.default_rng(0).integers(0, 256, (10, *shape), dtype=np.uint8)
    dataset = make_set("set", thumbnails, ["a", "b"] * 5, ["train"] * 6 + ["test"] * 4, images=images)
    found = run(dataset.path)
    assert found.content["mirrored"]["pairs"] == 1
    assert found.content["leakage"]["in force"]["num_test"] == 1
    assert "mean intensity" in [row["rule"] for row in found.content["shortcuts"]["rules"]]


def test_copies_of_volumes_are_found_and_other_heads_are_not_taken_for_them(tmp_path):
    generators = [{"patient": np.random.default_rng(k), "rng": np.random.default_rng(50 + k)} for k in range(16)]
    volumes = [draw_volume("no_tumor", 32, **each)[None] for each in generators]
    volumes.append((volumes[3] * 0.7).astype(np.uint8))  # another window
    volumes.append(volumes[5])
    columns = {"id": list(map(str, range(18))), "label": [0] * 18, "split": ["train"] * 9 + ["test"] * 9}
    write_dataset(
        tmp_path / "set", name="heads", kind="real", classes=["a"], images=np.stack(volumes), columns=columns, source={}
    )
    found = run(tmp_path / "set")
    assert sorted(zip(found.pairs["id_a"], found.pairs["id_b"], strict=True)) == [("3", "16"), ("5", "17")]
    assert found.content["compared"] == "volumes"
    lines = long_lines(found.content)
    assert lines[0].endswith("pairs of copies among 18 volumes")
    assert lines[1].startswith("notice: volumes are compared by three middle slices and their mean")


def test_the_same_data_set_gives_the_same_audit(own, public):
    first, again = (run(own.path, against=[public.path]) for _ in range(2))
    for found in (first, again):
        del found.content["seconds"]
    assert first.content == again.content
    pd.testing.assert_frame_equal(first.pairs, again.pairs)


def test_thresholds_are_used(own, make_set, draw, change):
    pictures = draw(8, 12)
    rough = (pictures[0] + np.random.default_rng(0).normal(0, 20, (64, 64))).clip(0, 255).astype(np.uint8)
    dataset = make_set("rough", np.stack([*pictures, rough]), ["a"] * 9, ["train"] * 9)
    strict = run(dataset.path, thresholds=Thresholds(score=0.97)).content
    assert (strict["near"]["pairs"], strict["thresholds"]["score"]) == (0, 0.97)
    assert run(dataset.path, thresholds=Thresholds(score=0.4)).content["near"]["pairs"] >= 1


@pytest.mark.parametrize(
    ("workers", "num_images", "with_ray"),
    [(None, 19, False), (None, 20, True), (0, 20, False), (2, 19, True)],
)
def test_ray_is_used_where_it_pays_or_is_asked_for(workers, num_images, with_ray, draw, make_subject, monkeypatch):
    monkeypatch.setattr(module, "RAY_MIN_IMAGES", 20)
    monkeypatch.setattr(module, "find_copies", lambda thumbnails, hashes, **options: options["run"].__name__)
    sessions = []
    monkeypatch.setattr(module, "_session", lambda num_cpus: sessions.append(num_cpus) or module.nullcontext())
    subject = make_subject(num_images)
    run_by = module.search([subject], thresholds=Thresholds(), workers=workers, say=print)
    assert run_by == ("run_with_ray" if with_ray else "run_here")
    assert sessions == ([workers] if with_ray else [])


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"thresholds": Thresholds(score=0.0)}, "--score 0.0: want a number above 0"),
        ({"thresholds": Thresholds(score=float("nan"))}, "--score nan: want"),
        ({"thresholds": Thresholds(inverted_score=1.5)}, "--inverted-score 1.5: want"),
        ({"thresholds": Thresholds(similarity=-1.0)}, "--similarity -1.0: want"),
        ({"thresholds": Thresholds(group_density=2.0)}, "--group-density 2.0: want"),
        ({"thresholds": Thresholds(num_neighbours=0)}, "--neighbours 0: want a whole number"),
        ({"workers": -1}, "--workers -1: want 0"),
        ({"out": "full"}, "--out full: exists and is not empty"),
        ({"out": "s3://bucket/audit"}, "--out s3://bucket/audit"),
        ({"json_file": "s3://bucket/audit.json"}, "--json s3://bucket/audit.json"),
        ({"json_file": "full"}, "--json full: a folder"),
        ({"against": ["nowhere"]}, "--against nowhere: no dataset.json"),
        ({"rename": {"x": "a"}}, "--rename x=a: no such class; .*none, without --against"),
        ({"rename": {"x": "a"}, "against": ["own"]}, "--rename x=a: no such class; those of --against are a, b$"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_before_anything_is_read(own, options, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full", "file").touch()
    monkeypatch.setattr(module, "find_copies", None)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=hint) as caught:
        run(own.path, **options)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^DIR .*nothing: no dataset\.json"):
        run(tmp_path / "nothing")


def test_an_empty_folder_is_filled(own, tmp_path):
    (tmp_path / "audit").mkdir()
    run(own.path, out=tmp_path / "audit")
    assert (tmp_path / "audit" / "audit.json").is_file()
