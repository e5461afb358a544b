"""`data import`, from files to a data set, with everything that can be wrong with the files."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from raysynth.cli.data import app
from raysynth.data import decode_members, import_output, nifti
from raysynth.data.audit.audit import audit
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import load_dataset
from raysynth.data.decode import Frame
from raysynth.data.importer import import_images
from raysynth.data.locations import locate
from raysynth.errors import UserError


def picture(seed: int, side: int = 24) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side))


@pytest.fixture
def source(tmp_path) -> Path:
    """20 images of each of two classes; 0.png of each class has a twin."""
    root = tmp_path / "source"
    for offset, name in ((0, "healthy"), (100, "with tumour é")):
        (root / name).mkdir(parents=True)
        for i in range(19):
            picture(offset + i).save(root / name / f"{i}.png")
        shutil.copy(root / name / "0.png", root / name / "copy.png")
    return root


@pytest.fixture
def kaggle(source, tmp_path) -> Path:
    """The same images, one in four in Testing; the twins are on both sides."""
    root = tmp_path / "kaggle"
    for file in source.rglob("*.png"):
        split = "Testing" if file.stem in ("copy", "1", "2", "3", "4") else "Training"
        target = root / split / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return root


def run(src, out, **options):
    lines: list[str] = []
    dataset = import_images(src, out, **({"size": 16} | options), say=lines.append)
    return dataset, "\n".join(lines)


def rejected(out: Path) -> dict[str, str]:
    with (out / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_a_folder_becomes_a_data_set(source, tmp_path):
    dataset, said = run(source, tmp_path / "out")
    assert dataset == load_dataset(tmp_path / "out")
    assert dataset.classes == ("healthy", "with tumour é")
    assert dataset.shape == (1, 16, 16)
    assert dataset.leakage.status == "clean"
    assert dataset.source["path"] == "source"
    assert dataset.source["arguments"]["split"] == "grouped"
    assert dataset.source["rejected"] == 0
    assert (dataset.audit["exact"], dataset.audit["groups"]["num_with_copies"]) == (2, 2)
    assert dataset.num_images() == 40
    assert dataset.num_images("test") == dataset.num_images("validation") == 4
    assert "2 exact, 0 near, 0 mirrored" in said
    assert rejected(tmp_path / "out") == {}
    first = dataset.read(["id", "source_path", "source_width", "source_height", "source_format"]).to_pylist()[0]
    assert list(first.values()) == ["healthy/0.png", "healthy/0.png", 24, 24, "PNG"]


def test_a_zip_gives_the_same_data_set_as_its_folder(source, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "source"), "zip", tmp_path, "source")
    from_folder, _ = run(source, tmp_path / "out")
    from_zip, _ = run(archive, tmp_path / "out2")
    assert from_zip.fingerprint == from_folder.fingerprint
    assert from_zip.read(["source_path"])["source_path"][0].as_py() == "source/healthy/0.png"


def test_the_split_follows_the_seed(source, tmp_path):
    fingerprints = [run(source, tmp_path / str(i), seed=seed)[0].fingerprint for i, seed in enumerate((0, 0, 1))]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_folders_keeps_the_splits_and_tells_that_they_leak(kaggle, tmp_path):
    dataset, _ = run(kaggle, tmp_path / "out", split="folders", validation=0.2)
    assert dataset.num_images("test") == 10
    assert dataset.num_images("validation") == 6
    assert dataset.leakage.status == "leaky"
    assert dataset.leakage.num_test == 2
    pooled, said = run(kaggle, tmp_path / "pooled")
    assert pooled.leakage.status == "clean"
    assert "--split folders" in said


def test_folders_needs_folders(source, tmp_path):
    with pytest.raises(UserError, match=r"--split folders: .*healthy.*--split grouped"):
        run(source, tmp_path / "out", split="folders")


def test_random_separates_twins(tmp_path):
    for name in "ab":
        (tmp_path / "source" / name).mkdir(parents=True)
        for i in range(30):
            picture(i // 2 + 100 * (name == "a")).save(tmp_path / "source" / name / f"{i}.png")
    dataset, _ = run(tmp_path / "source", tmp_path / "out", split="random")
    assert (dataset.num_images("test"), dataset.num_images("validation")) == (6, 6)
    assert dataset.leakage.status == "leaky"


def test_classes_are_renamed_and_merged(source, tmp_path):
    dataset, _ = run(source, tmp_path / "out", rename={"healthy": "no tumour"})
    assert dataset.classes == ("no tumour", "with tumour é")
    dataset, said = run(source, tmp_path / "merged", rename={"healthy": "all", "with tumour é": "all"})
    assert dataset.classes == ("all",)
    assert "only class" in said


def test_every_bad_file_is_listed_and_the_import_goes_on(source, tmp_path):
    folder = source / "healthy"
    whole = (source / "healthy" / "5.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "named wrong.jpg").write_bytes(whole)
    (source / "notes.txt").write_text("notes")
    (folder / "link.png").symlink_to("/etc/hostname")
    dataset, said = run(source, tmp_path / "out")
    reasons = rejected(tmp_path / "out")
    assert {path: reason.split()[0] for path, reason in reasons.items()} == {
        "healthy/truncated.png": "corrupt",
        "healthy/empty.png": "the",
        "healthy/text.png": "not",
        "healthy/link.png": "a",
        "notes.txt": "not",
    }
    assert dataset.source["rejected"] == 5
    assert "41 images imported, 5 files rejected" in said
    rows = dataset.read(["id", "source_format"]).to_pylist()
    assert {"id": "healthy/named wrong.jpg", "source_format": "PNG"} in rows


def test_a_damaged_zip_entry_is_rejected(source, tmp_path):
    archive = Path(shutil.make_archive(str(tmp_path / "s"), "zip", source))
    content = bytearray(archive.read_bytes())
    content[content.index(b"IDAT") + 10] ^= 0xFF  # of the first entry; its checksum no longer fits
    archive.write_bytes(content)
    dataset, _ = run(archive, tmp_path / "out")
    assert dataset.num_images() == 39
    assert all("cannot be read" in reason for reason in rejected(tmp_path / "out").values())


def test_classes_without_images_are_dropped_with_a_notice(source, tmp_path):
    (source / "nobody").mkdir()
    (source / "only text").mkdir()
    (source / "only text" / "1.png").write_text("no image")
    dataset, said = run(source, tmp_path / "out")
    assert dataset.classes == ("healthy", "with tumour é")
    assert "'nobody' has no image" in said
    assert "'only text' has no image" in said


def test_a_class_with_one_image_goes_to_train(source, tmp_path):
    (source / "rare").mkdir()
    picture(500).save(source / "rare" / "1.png")
    dataset, said = run(source, tmp_path / "out")
    assert [dataset.counts[split]["rare"] for split in ("train", "validation", "test")] == [1, 0, 0]
    assert "no test image of 'rare'" in said


def test_twins_in_different_classes_are_kept_and_named(source, tmp_path):
    shutil.copy(source / "healthy" / "3.png", source / "with tumour é" / "again.png")
    dataset, said = run(source, tmp_path / "out")
    assert dataset.num_images() == 41
    assert dataset.leakage.status == "clean"
    assert "1 pairs of copies stand in two classes" in said
    assert "healthy/3.png (healthy) = with tumour é/again.png (with tumour é), exact" in said


def test_nothing_readable_is_a_users_mistake(tmp_path):
    (tmp_path / "source" / "a").mkdir(parents=True)
    (tmp_path / "source" / "a" / "1.txt").write_text("text")
    with pytest.raises(UserError, match=r"not one of 1 files .*a/1.txt"):
        run(tmp_path / "source", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_import_leaves_nothing(source, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(decode_members, "decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"size": 0}, "--size 0"),
        ({"channels": 2}, "--channels 2"),
        ({"split": "patients"}, "--split patients"),
        ({"fit": "squeeze"}, "--fit squeeze"),
        ({"crop": "brain"}, "--crop brain"),
        ({"axis": "x"}, "--axis x: .*coronal"),
        ({"every": 0}, "--every 0"),
        ({"window": "wide"}, "--window wide"),
        ({"volumes": True, "size": 512}, "--size 512: .*256"),
        ({"groups": "nowhere.csv"}, "--groups nowhere.csv: .*No such file"),
        ({"test": 1.5}, "--test 1.5"),
        ({"validation": -0.1}, "--validation -0.1"),
        ({"test": 0.6, "validation": 0.5}, "nothing to train on"),
        ({"rename": {"unknown": "x"}}, "--rename unknown=x: .*healthy"),
        ({"rename": {"healthy": "a/b"}}, "--rename healthy=a/b"),
    ],
)
def test_wrong_options_are_named(source, tmp_path, options, hint):
    with pytest.raises(UserError, match=hint) as caught:
        run(source, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)


def columns(dataset, *names) -> list[tuple]:
    return [tuple(row.values()) for row in dataset.read(list(names)).to_pylist()]


def test_the_users_groups_stay_together_with_the_copies(source, tmp_path):
    """Three images a patient; the copy of an image of one patient ties the next to it."""
    names = [f"{folder}/{name}.png" for folder in ("healthy", "with tumour é") for name in [*range(19), "copy"]]
    table = ["path;group", *(f"{name};patient {i // 3}" for i, name in enumerate(names)), "old/file.png;patient 1"]
    (tmp_path / "groups.csv").write_text("\n".join(table), encoding="utf-8")
    dataset, said = run(source, tmp_path / "out", groups=tmp_path / "groups.csv", test=0.3)
    assert "1 paths of groups.csv are no files of the source, e.g. old/file.png" in said
    group_of: dict[str, set[tuple[str, str]]] = {}
    for source_group, group, split in columns(dataset, "source_group", "group", "split"):
        group_of.setdefault(source_group, set()).add((group, split))
    assert len(group_of) == 14
    assert all(len(parts) == 1 for parts in group_of.values())
    assert group_of["patient 0"] == group_of["patient 6"]  # healthy/0.png and its copy
    assert len({group for ((group, _),) in group_of.values()}) == 12
    assert dataset.source["arguments"]["groups"] == "groups.csv"


def test_groups_may_be_of_some_images_by_path_or_id(source, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "s"), "zip", tmp_path, "source")
    rows = ["path,group", "./source/healthy/1.png,x", "healthy/2.png,x", "healthy/3.png,"]
    (tmp_path / "groups.csv").write_text("\n".join(rows))
    dataset, said = run(archive, tmp_path / "out", groups=tmp_path / "groups.csv")
    assert "38 files are not in groups.csv" in said
    found = {path: (mine, group) for path, mine, group in columns(dataset, "source_path", "source_group", "group")}
    assert found["source/healthy/1.png"] == found["source/healthy/2.png"]
    assert found["source/healthy/1.png"][0] == "x"
    assert found["source/healthy/3.png"][0] is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("path,group\nelse/1.png,x\n", "not one of its paths .* they look like healthy/0.png"),
        ("path,group\nhealthy/0.png,x\nhealthy/0.png,y\n", "groups x and y"),
        ("file,group\nhealthy/0.png,x\n", "no column 'path'; its columns are file, group"),
    ],
)
def test_groups_that_fit_nothing_are_refused(text, hint, source, tmp_path):
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(UserError, match=f"--groups .*{hint}"):
        run(source, tmp_path / "out", groups=tmp_path / "groups.csv")


@pytest.fixture
def volumes(tmp_path, monkeypatch) -> Path:
    """A source of three volumes and a picture; the reader is a stand-in that gives as many slices as the name says."""

    def read_nifti(data, *, axis, every, volumes, group):
        slices = [np.asarray(picture(10 * len(group) + k)) for k in range(0, int(data), every)]
        if volumes:
            return [Frame(np.stack(slices), group, "NIfTI", 0)]
        return [Frame(pixels, group, "NIfTI", every * k) for k, pixels in enumerate(slices)]

    monkeypatch.setattr(nifti, "read_nifti", read_nifti)
    root = tmp_path / "volumes"
    for name, num_slices in (("a/P1/one.nii", 4), ("a/fourth.nii.gz", 6), ("b/P2/S1/third.nii", 1)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(num_slices))
    picture(0).save(root / "b" / "flat.png")
    return root


def test_a_file_may_become_several_images(volumes, tmp_path):
    dataset, said = run(volumes, tmp_path / "out", every=2, test=0.3, validation=0)
    found = columns(dataset, "id", "source_group", "source_path", "source_format")
    assert found == [
        ("a/P1/one.nii#0000", "a/P1/one.nii", "a/P1/one.nii", "NIfTI"),
        ("a/P1/one.nii#0002", "a/P1/one.nii", "a/P1/one.nii", "NIfTI"),
        *((f"a/fourth.nii.gz#{k:04d}", "a/fourth.nii.gz", "a/fourth.nii.gz", "NIfTI") for k in (0, 2, 4)),
        ("b/P2/S1/third.nii", "b/P2/S1/third.nii", "b/P2/S1/third.nii", "NIfTI"),
        ("b/flat.png", None, "b/flat.png", "PNG"),
    ]
    split_of = {(path, split) for path, split in columns(dataset, "source_path", "split")}
    assert len(split_of) == 4  # a volume is a group
    assert "7 images imported, 0 files rejected" in said
    (tmp_path / "groups.csv").write_text("path,group\na/P1/one.nii,p\nb/P2/S1/third.nii,p\n")
    dataset, _ = run(volumes, tmp_path / "grouped", groups=tmp_path / "groups.csv")
    assert [group for (group,) in columns(dataset, "source_group")] == [
        *["p"] * 4,
        *["a/fourth.nii.gz"] * 6,
        *["p", None],
    ]


def test_volumes_become_cubes(volumes, tmp_path):
    dataset, _ = run(volumes, tmp_path / "out", volumes=True, size=8)
    assert dataset.shape == (1, 8, 8, 8)
    assert [id_ for (id_,) in columns(dataset, "id")] == ["a/P1/one.nii", "a/fourth.nii.gz", "b/P2/S1/third.nii"]
    assert "not a NIfTI volume" in rejected(tmp_path / "out")["b/flat.png"]


def test_a_missing_library_ends_the_import_in_one_line(volumes, tmp_path, monkeypatch):
    def read_nifti(data, **options):
        raise UserError("SRC: NIfTI needs nibabel; pip install 'raysynth[medical]'")

    monkeypatch.setattr(nifti, "read_nifti", read_nifti)
    with pytest.raises(UserError, match="needs nibabel"):
        run(volumes, tmp_path / "out")


def test_heads_are_cut_out_and_those_not_found_counted(tmp_path):
    rows, columns_ = np.mgrid[:60, :80]
    for name, side in (("a", 12), ("b", 20)):
        (tmp_path / "source" / name).mkdir(parents=True)
        for i in range(4):
            ball = (np.hypot(rows - 30, columns_ - 30 - i) < side) * np.uint8(100 + i)
            Image.fromarray(ball).save(tmp_path / "source" / name / f"{i}.png")
    Image.new("L", (30, 30), 50).save(tmp_path / "source" / "a" / "nothing.png")
    dataset, said = run(tmp_path / "source", tmp_path / "out", crop="head", drop_border=True)
    assert "no head was found in 1 images" in said
    assert dataset.source["headless"] == 1
    assert {dataset.source["arguments"][name] for name in ("crop", "drop_border")} == {"head", True}
    plain, _ = run(tmp_path / "source", tmp_path / "plain")
    assert columns(plain, "pixel_hash") == columns(dataset, "pixel_hash")  # of the originals
    images, _ = dataset.pixels()
    assert (images[:, 0, 8, 2:14] >= 50).all()


def test_sources_and_data_sets_may_be_in_buckets(source, bucket, tmp_path):
    for file in source.rglob("*.png"):
        place = locate(bucket) / "source" / file.relative_to(source).as_posix()
        place.write_bytes(file.read_bytes())
    here, _ = run(source, tmp_path / "out")
    there, _ = run(f"{bucket}/source", f"{bucket}/sets/brain")
    assert there.fingerprint == here.fingerprint == load_dataset(f"{bucket}/sets/brain").fingerprint
    assert (there.name, there.source["path"]) == ("brain", "source")
    with pytest.raises(UserError, match="lies inside"):
        run(f"{bucket}/source", f"{bucket}/source/brain")
    result = CliRunner().invoke(app, ["import", f"{bucket}/source", "--out", str(tmp_path / "2"), "--size", "16"])
    assert result.exit_code == 0
    assert load_dataset(tmp_path / "2").fingerprint == here.fingerprint


def test_the_data_set_does_not_go_into_its_source(source):
    with pytest.raises(UserError, match="lies inside"):
        run(source, source / "out")


def test_batches_in_any_order_give_the_same_data_set(source, tmp_path, monkeypatch):
    def scattered(found, target):
        rows = np.random.default_rng(0).permutation(len(found.members))
        for part in np.array_split(rows, 7):
            yield decode_members._decode_rows(found.reader, target, found.members, {"data": part})

    here, _ = run(source, tmp_path / "here")
    monkeypatch.setattr(decode_members, "SMALL_SOURCE_BYTES", 0)
    monkeypatch.setattr(decode_members, "_decode_with_ray", scattered)
    there, _ = run(source, tmp_path / "there")
    assert here.fingerprint == there.fingerprint
    assert here.read(["pixel_hash", "source_path"]) == there.read(["pixel_hash", "source_path"])


@pytest.fixture
def mirrored(source) -> Path:
    """The source with mirrored and turned copies of ten images of the first class."""
    for i in range(10):
        turn = Image.Transpose.FLIP_LEFT_RIGHT if i % 2 else Image.Transpose.ROTATE_90
        picture(i).transpose(turn).save(source / "healthy" / f"turned {i}.png")
    return source


def split_of(dataset) -> dict[str, str]:
    return dict(columns(dataset, "id", "split"))


def test_mirrored_and_turned_copies_are_never_separated(mirrored, tmp_path):
    dataset, said = run(mirrored, tmp_path / "out", test=0.3, validation=0.2)
    # One mirrored copy of five images each, and the turned ones; of 0.png, which has a twin, there are two.
    assert [dataset.audit[name] for name in ("exact", "near", "mirrored", "rotated")] == [2, 0, 5, 6]
    assert "2 exact, 0 near, 5 mirrored, 6 rotated" in said
    of_image = {id_: rest for id_, *rest in columns(dataset, "id", "split", "group")}
    for i in range(10):
        assert of_image[f"healthy/{i}.png"] == of_image[f"healthy/turned {i}.png"]
    assert {split for split, _ in of_image.values()} == {"train", "validation", "test"}
    assert dataset.leakage.status == "clean"
    leaky, _ = run(mirrored, tmp_path / "random", split="random", test=0.3)
    assert leaky.leakage.status == "leaky"
    assert leaky.leakage.num_test_by_class["healthy"] >= 1


def test_planted_copies_make_a_split_by_folders_leaky_and_are_counted_by_class(kaggle, tmp_path):
    """Beside the two twins, a mirrored copy, and a copy in another class."""
    picture(110).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(kaggle / "Testing" / "with tumour é" / "up-down.png")
    shutil.copy(kaggle / "Training" / "healthy" / "9.png", kaggle / "Testing" / "with tumour é" / "nine.png")
    dataset, said = run(kaggle, tmp_path / "out", split="folders", validation=0)
    assert dataset.leakage.status == "leaky"
    assert dataset.leakage.num_test_by_class == {"healthy": 1, "with tumour é": 3}
    assert dataset.audit["leakage"]["folders"] == {"status": "leaky", "num_test": 4, "of_test": 12}
    assert dataset.audit["label_conflicts"] == 1
    assert "Testing/with tumour é/nine.png (with tumour é) = Training/healthy/9.png (healthy), exact" in said
    content = json.loads((tmp_path / "out" / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert content["leakage"]["in force"]["test_by_class"] == {
        "healthy": {"leaked": 1, "of": 5},
        "with tumour é": {"leaked": 3, "of": 7},
    }
    pooled, _ = run(kaggle, tmp_path / "pooled")
    assert pooled.leakage.status == "clean"
    assert pooled.audit["leakage"]["folders"]["num_test"] == 4


def test_the_audit_of_an_import_is_the_audit_of_its_data_set(mirrored, tmp_path):
    dataset, _ = run(mirrored, tmp_path / "out", test=0.3)
    folder = tmp_path / "out" / "audit"
    assert sorted(file.name for file in folder.iterdir()) == ["audit.json", "audit.png", "pairs.parquet"]
    content = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    again = audit(dataset.path, say=lambda line: None)
    for found in (content, again.content):
        for name in ("seconds", "fingerprint"):  # the import's is not known before it is written
            del found[name]
    assert content == again.content
    pairs = pd.read_parquet(folder / "pairs.parquet")
    assert pairs[["id_a", "id_b"]].to_numpy().tolist() == again.pairs[["id_a", "id_b"]].to_numpy().tolist()
    assert again.groups == [group for (group,) in columns(dataset, "group")]
    summary = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))["audit"]
    assert summary == dataset.audit == json.loads(json.dumps(again.summary()))
    assert summary["leakage"]["in force"] == {"status": "clean", "num_test": 0, "of_test": dataset.num_images("test")}
    assert 0 <= summary["shortcuts"]["width x height"] <= 1


def test_thresholds_of_a_copy_are_options(source, tmp_path):
    picture(3, side=40).save(source / "healthy" / "large.png")
    dataset, _ = run(source, tmp_path / "out")
    assert (dataset.audit["exact"], dataset.audit["near"]) == (2, 1)
    strict, _ = run(source, tmp_path / "strict", thresholds=Thresholds(score=0.9999))
    assert (strict.audit["exact"], strict.audit["near"]) == (2, 0)
    assert strict.source["arguments"]["thresholds"]["score"] == strict.audit["thresholds"]["score"] == 0.9999
    with pytest.raises(UserError, match=r"--score 2: want"):
        run(source, tmp_path / "refused", thresholds=Thresholds(score=2))


def test_folds_are_data_sets_that_test_every_image_once(mirrored, tmp_path):
    first, said = run(mirrored, tmp_path / "out", folds=3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fold-0", "fold-1", "fold-2"]
    assert "50 images imported" in said
    assert "3 data sets: " in said
    datasets = [load_dataset(tmp_path / "out" / f"fold-{fold}") for fold in range(3)]
    assert first == datasets[0]
    assert [dataset.name for dataset in datasets] == ["out-fold-0", "out-fold-1", "out-fold-2"]
    tested: list[str] = []
    for fold, dataset in enumerate(datasets):
        assert dataset.leakage.status == "clean"
        assert all(dataset.counts["test"][name] for name in dataset.classes)
        assert dataset.num_images("validation") > 0
        tested += [id_ for id_, split in split_of(dataset).items() if split == "test"]
        assert all((split == "test") == (of == fold) for split, of in columns(dataset, "split", "fold"))
        assert (dataset.path / "audit" / "audit.json").is_file()
    assert sorted(tested) == sorted(split_of(first))
    assert len({dataset.fingerprint for dataset in datasets}) == 3


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"folds": 1}, "--folds 1: give at least 2"),
        ({"folds": 3, "split": "random"}, "--folds 3: goes with --split grouped only, not with random"),
        ({"folds": 60}, "--folds 60: there are only"),
        ({"add_to": "nowhere"}, "--add-to nowhere: no dataset.json"),
        ({"add_to": "nowhere", "split": "folders"}, "--add-to nowhere: goes with --split grouped only"),
    ],
)
def test_folds_and_bases_that_cannot_be_are_refused_in_one_line(source, tmp_path, options, hint):
    with pytest.raises(UserError, match=hint) as caught:
        run(source, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_dedupe_keeps_the_largest_of_the_copies(mirrored, tmp_path):
    picture(3, side=60).save(mirrored / "healthy" / "large.png")
    dataset, said = run(mirrored, tmp_path / "out", dedupe=True)
    assert dataset.num_images() == 38
    assert [dataset.audit[name] for name in ("exact", "near", "mirrored", "rotated")] == [0, 0, 0, 0]
    ids = split_of(dataset)
    assert "healthy/large.png" in ids
    reasons = rejected(tmp_path / "out")
    assert len(reasons) == 13
    assert reasons["healthy/3.png"] == reasons["healthy/turned 3.png"] == "a copy of healthy/large.png (--dedupe)"
    # Of equal sizes the first by name.
    assert reasons["healthy/copy.png"] == reasons["healthy/turned 0.png"] == "a copy of healthy/0.png (--dedupe)"
    assert "38 images imported, 13 files rejected" in said


@pytest.fixture
def more(tmp_path) -> Path:
    """Ten new images, one of a new class, a mirrored copy of an old one, and one that is there already."""
    root = tmp_path / "more"
    for name in ("healthy", "new"):
        (root / name).mkdir(parents=True)
    for i in range(10):
        picture(300 + i).save(root / ("healthy" if i else "new") / f"new {i}.png")
    picture(5).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "healthy" / "mirrored 5.png")
    picture(7).save(root / "healthy" / "7.png")
    return root


def test_added_images_leave_the_old_ones_where_they_are(source, more, tmp_path):
    old, _ = run(source, tmp_path / "old", test=0.3, seed=1)
    dataset, said = run(more, tmp_path / "out", add_to=tmp_path / "old", test=0.3)
    assert "51 images imported (11 new), 1 files rejected" in said
    assert rejected(tmp_path / "out") == {"healthy/7.png": "old has this image already"}
    assert dataset.classes == ("healthy", "new", "with tumour é")
    before, after = split_of(old), split_of(dataset)
    assert {id_: after[id_] for id_ in before} == before
    assert list(after)[: len(before)] == list(before)
    assert after["healthy/mirrored 5.png"] == before["healthy/5.png"]
    assert dataset.leakage.status == "clean"
    assert dataset.source["arguments"]["add_to"] == {"name": "old", "fingerprint": old.fingerprint}
    np.testing.assert_array_equal(dataset.pixels()[0][:40], old.pixels()[0])
    assert load_dataset(tmp_path / "old") == old


def test_an_added_image_that_would_join_two_splits_is_rejected_with_both(source, more, tmp_path):
    """It is a copy of a train image, and of the patient of a test image."""
    old, _ = run(source, tmp_path / "old", test=0.3)
    before = split_of(old)
    train, test = (
        next(id_ for id_, split in before.items() if split == wanted and "copy" not in id_ and "/0.png" not in id_)
        for wanted in ("train", "test")
    )
    (tmp_path / "groups.csv").write_text(f"path,group\n{test},p\n", encoding="utf-8")
    old, _ = run(source, tmp_path / "with group", test=0.3, groups=tmp_path / "groups.csv")
    assert split_of(old) == before
    with Image.open(source / train) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(more / "healthy" / "bridge.png")
    (tmp_path / "more.csv").write_text("path,group\nhealthy/bridge.png,p\n", encoding="utf-8")
    dataset, _ = run(more, tmp_path / "out", add_to=old.path, groups=tmp_path / "more.csv", test=0.3)
    reason = rejected(tmp_path / "out")["healthy/bridge.png"]
    assert f"{train} (train)" in reason
    assert f"{test} (test)" in reason
    assert {id_: split_of(dataset)[id_] for id_ in before} == before
    assert "healthy/bridge.png" not in split_of(dataset)
    assert dataset.leakage.status == "clean"


def test_another_picture_of_the_same_name_is_added_under_a_new_one(source, tmp_path):
    run(source, tmp_path / "old")
    (tmp_path / "more" / "healthy").mkdir(parents=True)
    picture(901).save(tmp_path / "more" / "healthy" / "7.png")
    dataset, _ = run(tmp_path / "more", tmp_path / "out", add_to=tmp_path / "old")
    assert {"healthy/7.png", "healthy/7.png (2)"} <= set(dict(columns(dataset, "id", "split")))
    assert dataset.num_images() == 41


def test_images_are_added_by_the_thresholds_of_the_old_ones(source, more, tmp_path):
    run(source, tmp_path / "old", thresholds=Thresholds(score=0.7))
    dataset, _ = run(more, tmp_path / "out", add_to=tmp_path / "old")
    assert dataset.audit["thresholds"]["score"] == 0.7
    with pytest.raises(UserError, match=r"--add-to old: was audited with .*0.7"):
        run(more, tmp_path / "other", add_to=tmp_path / "old", thresholds=Thresholds(score=0.8))


def test_a_fold_that_cannot_be_written_leaves_no_other(source, tmp_path, monkeypatch):
    write = import_output.write_dataset

    def fail(place, **options):
        if place.name == "fold-1":
            raise OSError("no space left on device")
        return write(place, **options)

    monkeypatch.setattr(import_output, "write_dataset", fail)
    with pytest.raises(OSError, match="no space left"):
        run(source, tmp_path / "out", folds=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"size": 32}, "--add-to .*old: its images have the shape 1 x 16 x 16, the new ones 1 x 32 x 32"),
        ({"channels": 3}, "--add-to .*old: its images have the shape"),
        ({"fit": "pad"}, "--fit pad: the images of --add-to .*old were made with stretch"),
        ({"folds": 3}, "--folds 3: the data set of --add-to has one split"),
    ],
)
def test_images_of_another_kind_are_not_added(source, more, tmp_path, options, hint):
    run(source, tmp_path / "old")
    with pytest.raises(UserError, match=hint) as caught:
        run(more, tmp_path / "out", add_to=tmp_path / "old", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_images_are_added_to_folds_in_a_bucket(source, more, bucket):
    run(source, f"{bucket}/old", folds=3)
    old = dict(columns(load_dataset(f"{bucket}/old/fold-0"), "id", "fold"))
    dataset, said = run(more, f"{bucket}/new", add_to=f"{bucket}/old")
    assert "51 images imported (11 new)" in said
    fold_of = dict(columns(dataset, "id", "fold"))
    assert {id_: fold_of[id_] for id_ in old} == old
    assert fold_of["healthy/mirrored 5.png"] == old["healthy/5.png"]
    last = load_dataset(f"{bucket}/new/fold-2")
    assert {id_ for id_, split in split_of(last).items() if split == "test"} == {
        id_ for id_, fold in fold_of.items() if fold == 2
    }
    with pytest.raises(UserError, match=r"--folds 2: .*3 folds"):
        run(more, f"{bucket}/two", add_to=f"{bucket}/old", folds=2)


def test_the_command_folds_dedupes_and_adds(mirrored, more, tmp_path):
    arguments = ["import", str(mirrored), "--size", "16", "--folds", "2", "--dedupe", "--out", str(tmp_path / "old")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    arguments = ["import", str(more), "--size", "16", "--add-to", str(tmp_path / "old"), "--out", str(tmp_path / "new")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert load_dataset(tmp_path / "old" / "fold-1").num_images() == 38
    new = load_dataset(tmp_path / "new" / "fold-1")
    assert new.num_images() == 49
    assert new.audit["mirrored"] == 1  # without --dedupe the new image stays beside the old one


def test_the_command_prints_a_table_or_json(kaggle, tmp_path):
    runner = CliRunner()
    arguments = ["import", str(kaggle), "--size", "16", "--split", "folders", "--rename", "healthy=no"]
    table = runner.invoke(app, [*arguments, "--out", str(tmp_path / "1")])
    assert table.exit_code == 0
    assert "warning: leaky split: 2 test" in table.stdout
    assert next(line for line in table.stdout.splitlines() if line.startswith("  no ")).split() == [
        *("no", "13", "2", "5", "20")
    ]
    result = runner.invoke(app, [*arguments, "--out", str(tmp_path / "2"), "--json"])
    assert json.loads(result.stdout)["counts"]["test"] == {"no": 5, "with tumour é": 5}
