"""CSV, TSV and Parquet as sources: which rows are taken, which files they name, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raysynth.data.importer import import_images
from raysynth.data.locations import locate
from raysynth.data.readers import _row_group
from raysynth.data.sources import Source
from raysynth.data.table_files import is_table
from raysynth.data.tables import Columns, find_rows
from raysynth.errors import UserError

FILES = ["scans/a/1.png", "scans/a/2.png", "scans/b/1.png"]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 10), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three images below `set/`, and one beside it."""
    for seed, file in enumerate([*FILES, "../outside.png"]):
        path = tmp_path / "set" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed))
    return tmp_path / "set"


def find(table: Path, /, *, root=None, **columns) -> tuple[Source, str]:
    lines: list[str] = []
    return find_rows(table, Columns(**columns), root=root, say=lines.append), "\n".join(lines)


def found(source: Source) -> list[tuple[str, str, str | None, str | None]]:
    return [(member.id, member.class_name, member.group, member.split) for member in source.members]


FORMS = {
    "t.csv": lambda frame, path: frame.to_csv(path, index=False),
    "semicolons.csv": lambda frame, path: frame.to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "T.TSV": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "t.parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_table_gives_the_same_rows(name, folder):
    frame = pd.DataFrame(
        {
            "Patient_ID": [7, 8, None],  # which makes floats of the others
            "File": FILES,
            "Diagnosis": ["glioma, é", "none", "none"],
            "split": ["Train", "val", "holdout"],
        }
    )
    FORMS[name](frame, folder / name)
    assert is_table(folder / name)
    source, said = find(folder / name)
    assert found(source) == [
        (FILES[0], "glioma, é", "7", "train"),
        (FILES[1], "none", "8", "validation"),
        (FILES[2], "none", None, None),
    ]
    assert source.split_folders == {"Train": "train", "val": "validation"}
    assert source.rejected == ()
    assert [source.reader.read(member.locator) for member in source.members] == [png(0), png(1), png(2)]
    assert "path 'File', label 'Diagnosis', group 'Patient_ID', split 'split'" in said


def test_columns_can_be_chosen_or_left_out(folder):
    table = {
        "path": FILES,
        "other": FILES[::-1],
        "label": ["a", "a", "b"],
        "grade": [1, 2, 2],
        "group": ["x", "y", "z"],
    }
    pd.DataFrame(table).to_csv(folder / "t.csv", index=False)
    source, said = find(folder / "t.csv", path="other", label="grade", group="")
    assert found(source) == [(FILES[2], "1", None, None), (FILES[1], "2", None, None), (FILES[0], "2", None, None)]
    assert said == ""  # nothing was guessed


@pytest.mark.parametrize(
    ("columns", "options", "hint"),
    [
        (["path", "kind"], {}, r"--label-column: .*the class; name one of path, kind"),
        (["name", "label"], {}, r"--path-column: .*paths or bytes.*name one of name, label"),
        (["path", "label"], {"label": "kind"}, r"--label-column kind: no such column.*path, label"),
        (["path", "label"], {"split": "fold"}, r"--split-column fold: no such column"),
        (["path", "label"], {"bytes": "path"}, r"--bytes-column path: holds no bytes"),
        (["path", "label", "scan"], {"path": "scan"}, r"--path-column scan: holds bytes"),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(columns, options, hint, tmp_path):
    row = {name: b"x" if name == "scan" else "x" for name in columns}
    pd.DataFrame([row]).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=hint) as refused:
        find(tmp_path / "t.parquet", **options)
    assert "\n" not in str(refused.value)


def test_rows_that_cannot_be_used_are_rejected_with_the_reason(folder):
    (folder / "empty.png").touch()
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "linked").symlink_to(folder.parent)
    rows = [
        (FILES[0], "a"),
        (f"./{FILES[1]}", " a "),
        (str(folder / FILES[2]), "a"),
        ("scans\\a\\2.png", "b"),
        (FILES[0], "b"),
        ("scans/a/nobody.png", "b"),
        ("../outside.png", "b"),
        (str(folder.parent / "outside.png"), "b"),
        ("scans/../../outside.png", "b"),
        (f"{folder}/../outside.png", "b"),
        ("s3://bucket/x.png", "b"),
        ("link.png", "b"),
        ("linked/outside.png", "b"),
        ("empty.png", "b"),
        ("scans", "b"),
        ("", "b"),
        ("no class.png", ""),
    ]
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(folder / "t.csv", index=False)
    source, _ = find(folder / "t.csv")
    assert [(member.id, member.class_name) for member in source.members] == [(file, "a") for file in FILES]
    reasons = {}
    for path, reason in source.rejected:
        reasons.setdefault(" ".join(reason.split()[:3]), []).append(path)
    assert reasons == {
        "listed again, as": [FILES[0], FILES[1]],
        "cannot be read:": ["no class.png", "scans/a/nobody.png"],
        "the path leaves": sorted(
            [path for path, _ in rows if ".." in path or "s3:" in path or path.startswith(str(folder.parent / "o"))]
        ),
        "a symbolic link": ["link.png", "linked/outside.png"],
        "the file is": ["empty.png"],
        "not a regular": ["scans"],
        "the row has": ["(no path)"],
    }


def test_a_row_without_a_class_is_rejected(folder):
    pd.DataFrame({"path": FILES, "label": ["a", None, "  "]}).to_csv(folder / "t.csv", index=False)
    source, _ = find(folder / "t.csv")
    assert [member.id for member in source.members] == FILES[:1]
    assert source.rejected == tuple((file, "no class: column 'label' is empty") for file in FILES[1:])


def test_root_says_where_the_paths_begin(folder, tmp_path):
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "t.csv"
    pd.DataFrame({"path": [FILES[0], "../outside.png"], "label": ["a", "a"]}).to_csv(table, index=False)
    source, _ = find(table, root=folder)
    assert [member.id for member in source.members] == FILES[:1]
    assert source.reader.read(source.members[0].locator) == png(0)
    assert [path for path, reason in source.rejected if "leaves the folder set" in reason] == ["../outside.png"]


def write_parquet(path: Path, images: list, **columns) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if isinstance(images[0], dict) else pa.binary()
    table = pa.table(
        {"image": pa.array(images, kind), "label": pa.array([i % 2 for i in range(len(images))]), **columns}
    )
    pq.write_table(table, path, row_group_size=4)
    return path


def test_bytes_are_read_a_row_group_at_a_time(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "t.parquet", [png(i) for i in range(10)])
    source, said = find(path)
    assert "bytes 'image', label 'label'" in said
    assert [member.locator for member in source.members[3:6]] == ["0:3", "1:0", "1:1"]
    assert [member.class_name for member in source.members] == ["0", "1"] * 5
    assert 9 * len(png(0)) < source.num_bytes < 20 * len(png(0))
    read: list[int] = []
    original = pq.ParquetFile.read_row_group

    def read_row_group(self, number, **options):
        read.append(number)
        assert options["columns"] == ["image"]
        return original(self, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    _row_group.cache_clear()
    assert [source.reader.read(member.locator) for member in source.members] == [png(i) for i in range(10)]
    assert read == [0, 1, 2]


def test_images_of_hugging_face_are_structs_with_a_name(tmp_path):
    images = [{"bytes": png(i), "path": f"scan {i}.png"} for i in range(5)]
    source, _ = find(write_parquet(tmp_path / "t.parquet", images))
    assert [member.id for member in source.members] == [f"scan {i}.png" for i in range(5)]
    assert [source.reader.read(member.locator) for member in source.members] == [png(i) for i in range(5)]
    source, _ = find(write_parquet(tmp_path / "twice.parquet", [image | {"path": "same.png"} for image in images]))
    assert [member.id for member in source.members] == [f"row {i:08d}" for i in range(5)]


def test_a_table_of_bytes_becomes_a_data_set(tmp_path):
    images = [png(i) for i in range(30)]
    images[3], images[4] = None, b"text"
    patients = pa.array([f"p{i // 5}" for i in range(30)])
    path = write_parquet(tmp_path / "t.parquet", images, patient=patients, split=pa.array(["train", "test"] * 15))
    dataset = import_images(path, tmp_path / "out", size=8, say=lambda line: None)
    assert dataset.classes == ("0", "1")
    assert dataset.num_images() == 28
    rejected = (tmp_path / "out" / "rejected.csv").read_text().splitlines()
    assert rejected[1] == "row 00000003,the file is empty"
    assert rejected[2].startswith('row 00000004,"not an image')
    rows = dataset.read(["source_group", "group", "split"]).to_pandas()
    assert sorted(set(rows["source_group"])) == [f"p{i}" for i in range(6)]
    assert (rows.groupby("source_group")[["group", "split"]].nunique() == 1).all(axis=None)
    assert dataset.source["arguments"]["label_column"] is None
    folders = import_images(path, tmp_path / "folders", size=8, split="folders", validation=0.2, say=lambda line: None)
    assert folders.num_images("test") == 14


def test_with_its_own_splits_rows_without_one_are_rejected(folder, tmp_path):
    table = folder / "t.csv"
    pd.DataFrame({"path": FILES, "label": ["a", "b", "b"], "split": ["train", "train", "later"]}).to_csv(table)
    dataset = import_images(table, tmp_path / "1", size=8, split="folders", validation=0, say=lambda line: None)
    assert dataset.num_images() == 2
    assert "the table gives no split" in (tmp_path / "1" / "rejected.csv").read_text()
    assert import_images(table, tmp_path / "2", size=8, say=lambda line: None).num_images() == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b"path,label\n\xff\xfe,\xff"),
        ("t.parquet", b"PAR1 and no more"),
        ("t.csv", b"a\0b,c\n"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=str(tmp_path / name)) as refused:
        find(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("option", ["label_column", "root"])
def test_options_of_tables_are_refused_elsewhere(option, tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"--{option.replace('_', '-')} x: .* is no table"):
        import_images(tmp_path / "set", tmp_path / "out", say=lambda line: None, **{option: "x"})


def test_tables_in_buckets_name_files_beside_them(bucket, folder, tmp_path):
    place = locate(bucket) / "study"
    for file in FILES:
        (place / file).write_bytes((folder / file).read_bytes())
    rows = [
        FILES[0],
        f"{place}/{FILES[1]}",
        "../secret.png",
        f"{bucket}/other.png",
        "scans/nobody.png",
        "/etc/hostname",
    ]
    text = "path,label\n" + "".join(f"{path},a\n" for path in rows)
    (place / "t.csv").write_text(text)
    source, _ = find(place / "t.csv")
    assert [member.id for member in source.members] == FILES[:2]
    assert [source.reader.read(member.locator) for member in source.members] == [png(0), png(1)]
    reasons = dict(source.rejected)
    assert "no such file" in reasons.pop("scans/nobody.png")
    assert sorted(reasons) == sorted([rows[2], rows[3], rows[5]])
    assert all("leaves the folder" in reason for reason in reasons.values())

    path = write_parquet(tmp_path / "t.parquet", [png(i) for i in range(6)])
    (place / "t.parquet").write_bytes(path.read_bytes())
    dataset = import_images(f"{place}/t.parquet", tmp_path / "out", size=8, say=lambda line: None)
    assert dataset.num_images() == 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; its first line should name the columns"),
        (b"\n\n", "is empty; its first line should name the columns"),
        (b"path,label\n", "has no rows; give one for each image"),
        ("path,label\na.png,m\u00e9ningiome\n".encode("latin-1"), "not UTF-8; save it as UTF-8"),
    ],
)
def test_a_table_without_rows_or_in_another_encoding_is_refused_with_its_remedy(content, reason, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=f"^SRC .*t.csv: .*{reason}"):
        find(tmp_path / "t.csv")


def test_a_root_that_does_not_exist_is_refused(folder):
    pd.DataFrame({"path": FILES, "label": ["a", "a", "b"]}).to_csv(folder / "t.csv", index=False)
    with pytest.raises(UserError, match=r"^--root .*nowhere: no such folder"):
        find(folder / "t.csv", root=folder / "nowhere")


def test_the_current_folder_has_a_name_too(folder, monkeypatch):
    monkeypatch.chdir(folder)
    pd.DataFrame({"path": ["../outside.png"], "label": ["a"]}).to_csv("t.csv", index=False)
    source, _ = find(Path("t.csv"))
    assert source.rejected[0][1].startswith("the path leaves the folder set;")


def test_rows_whose_label_cannot_be_a_class_are_rejected(folder):
    labels = ["a/b", "a\\b", "fine: é, 1+2", ".a", "a\nb", "a\x1b[31m"]
    files = [f"{number}.png" for number in range(len(labels))]
    for file in files:
        (folder / file).write_bytes(png(0))
    pd.DataFrame({"path": files, "label": labels}).to_csv(folder / "t.csv", index=False)
    source, _ = find(folder / "t.csv")
    assert source.classes == ("fine: é, 1+2",)
    assert [path for path, _ in source.rejected] == [file for file in files if file != "2.png"]
    for _, reason in source.rejected:
        assert "is no class name" in reason
        assert reason.isprintable()
