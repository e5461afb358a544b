"""Which files of a folder or zip are taken, under which class and split, and which are turned away."""

import os
import stat
import zipfile
from pathlib import Path

import pytest

from raysynth.data.locations import locate
from raysynth.data.sources import Source, find_images
from raysynth.errors import UserError


def make_folder(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(file.encode())
    return root


def make_zip(path: Path, *files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.writestr(file, file.encode())
    return path


def found(source: Source) -> set[tuple[str, str | None, str]]:
    return {(member.id, member.split, member.class_name) for member in source.members}


LAYOUTS = {
    "classes": (["a/1.png", "b/2.png"], {("a/1.png", None, "a"), ("b/2.png", None, "b")}),
    "wrapped classes": (["w/a/1.png", "w/b/2.png"], {("a/1.png", None, "a"), ("b/2.png", None, "b")}),
    "one class": (["a/1.png"], {("a/1.png", None, "a")}),
    "one wrapped class": (["w/a/1.png"], {("a/1.png", None, "a")}),
    "kaggle": (
        ["Training/a/1.jpg", "Testing/b/2.jpg"],
        {("Training/a/1.jpg", "train", "a"), ("Testing/b/2.jpg", "test", "b")},
    ),
    "wrapped kaggle": (
        ["w/Training/a/1.jpg", "w/Testing/a/2.jpg", "w/README.txt"],
        {("Training/a/1.jpg", "train", "a"), ("Testing/a/2.jpg", "test", "a")},
    ),
    "three splits": (
        ["train/a/1.png", "validation/a/2.png", "test/a/3.png"],
        {("train/a/1.png", "train", "a"), ("validation/a/2.png", "validation", "a"), ("test/a/3.png", "test", "a")},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_every_layout_is_found_in_folders_and_zips(layout, make, tmp_path):
    files, expected = LAYOUTS[layout]
    assert found(find_images(make(tmp_path / "source", *files))) == expected


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_members_are_read_and_keep_their_path_below_the_source(make, tmp_path):
    source = find_images(make(tmp_path / "source", "w/a/with space é.png", "w/b/2.png"))
    assert [member.path for member in source.members] == ["w/a/with space é.png", "w/b/2.png"]
    assert source.reader.read(source.members[0].locator) == "w/a/with space é.png".encode()


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_hidden_files_and_those_of_the_system_are_passed_over(make, tmp_path):
    files = ["a/1.png", "b/2.png", "a/.DS_Store", ".git/config", "__MACOSX/a/._1.png", "a/Thumbs.db"]
    source = find_images(make(tmp_path / "source", *files))
    assert len(source.members) == 2
    assert source.rejected == ()
    assert source.classes == ("a", "b")


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_misplaced_files_are_rejected_with_the_reason(make, tmp_path):
    source = find_images(make(tmp_path / "source", "a/1.png", "b/deep/2.png", "notes.txt"))
    assert dict(source.rejected) == {
        "b/deep/2.png": "in a folder below the class folder",
        "notes.txt": "not in a class folder",
    }


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_medical_files_may_lie_deeper_than_their_class(make, tmp_path):
    """Scanners write PATIENT/SERIES/NUMBER, often without a suffix, and an index called DICOMDIR."""
    files = ["a/P1/S1/IM0001", "a/P1/S1/1.2.840.10008", "a/P1/x.dcm", "b/P2/brain.nii.gz", "b/top.dcm"]
    others = ["DICOMDIR", "a/P1/DICOMDIR", "b/P2/thumbnail.png", "b/P2/photo.JPG"]
    source = find_images(make(tmp_path / "source", *files, *others))
    assert {(member.id, member.class_name, member.is_nested) for member in source.members} == {
        (file, file[0], file != "b/top.dcm") for file in files
    }
    assert source.rejected == tuple((file, "in a folder below the class folder") for file in sorted(others[2:]))


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_patients_below_one_class_and_its_wrapper_are_no_classes(make, tmp_path):
    source = find_images(make(tmp_path / "source", "study/a/P1/S1/1", "study/b/P2/S1/1"))
    assert source.classes == ("a", "b")
    source = find_images(make(tmp_path / "one", "a/scan.nii.gz", "a/P1/2.dcm"))
    assert source.classes == ("a",)


def test_empty_classes_are_known(tmp_path):
    make_folder(tmp_path, "a/1.png")
    (tmp_path / "empty").mkdir()
    assert find_images(tmp_path).classes == ("a", "empty")


def test_empty_and_oversized_files_are_rejected_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("raysynth.data.sources.MAX_FILE_BYTES", 10)
    make_folder(tmp_path, "a/1.png", "a/a long name.png")
    (tmp_path / "a" / "empty.png").touch()
    reasons = dict(find_images(tmp_path).rejected)
    assert "empty" in reasons["a/empty.png"]
    assert "larger than" in reasons["a/a long name.png"]


def test_links_are_followed_inside_the_folder_only(tmp_path):
    root = make_folder(tmp_path / "source", "a/1.png", "b/2.png")
    outside = make_folder(tmp_path / "outside", "secret.png")
    (root / "a" / "inside.png").symlink_to(root / "b" / "2.png")
    (root / "a" / "outside.png").symlink_to(outside / "secret.png")
    (root / "a" / "dangling.png").symlink_to(root / "nowhere.png")
    (root / "c").symlink_to(outside)
    source = find_images(root)
    assert {member.id for member in source.members} == {"a/1.png", "a/inside.png", "b/2.png"}
    assert {path for path, _ in source.rejected} == {"a/outside.png", "a/dangling.png", "c"}
    assert all("symbolic link" in reason or "cannot be read" in reason for _, reason in source.rejected)


def test_a_pipe_is_not_read(tmp_path):
    make_folder(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    assert find_images(tmp_path).rejected == (("a/pipe.png", "not a regular file"),)


def test_names_that_are_not_utf8_are_shown_escaped_and_still_read(tmp_path):
    make_folder(tmp_path, "a/1.png")
    with open(os.fsencode(tmp_path) + b"/a/\xff.png", "wb") as file:
        file.write(b"content")
    source = find_images(tmp_path)
    member = source.members[1]
    assert member.id == "a/\\xff.png"
    assert source.reader.read(member.locator) == b"content"


def test_class_names_are_the_same_however_letters_are_composed(tmp_path):
    source = find_images(make_zip(tmp_path / "s.zip", "Training/caf\u00e9/1.png", "Testing/cafe\u0301/2.png"))
    assert source.classes == ("caf\u00e9",)


def test_unsafe_zip_entries_are_rejected(tmp_path):
    path = make_zip(tmp_path / "s.zip", "a/1.png", "../a/up.png", "a/../../up.png", "/a/absolute.png", "C:\\a\\2.png")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    source = find_images(path)
    assert [member.id for member in source.members] == ["a/1.png"]
    reasons = dict(source.rejected)
    assert reasons["../a/up.png"] == reasons["a/../../up.png"] == "the path leaves the zip (..)"
    assert reasons["a/absolute.png"] == reasons["C:/a/2.png"] == "an absolute path in the zip"
    assert "symbolic link" in reasons["a/link.png"]


def test_encrypted_zip_entries_are_rejected(tmp_path):
    path = make_zip(tmp_path / "s.zip", "a/1.png", "b/2.png")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")  # the last entry of the directory; its flags stand 8 bytes on
    content[entry + 8] |= 1
    path.write_bytes(content)
    assert [path for path, reason in find_images(path).rejected if "encrypted" in reason] == ["b/2.png"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_zip_entries_with_one_name_the_last_is_taken(tmp_path):
    path = make_zip(tmp_path / "s.zip", "a/1.png", "b/2.png")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/1.png", b"newer")
    source = find_images(path)
    assert len(source.members) == 2
    assert len(source.rejected) == 1
    assert source.reader.read("a/1.png") == b"newer"


def test_zip_folders_made_by_windows_programs_are_understood(tmp_path):
    assert found(find_images(make_zip(tmp_path / "s.zip", "w\\a\\1.png", "w\\b\\2.png"))) == {
        ("a/1.png", None, "a"),
        ("b/2.png", None, "b"),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_and_zips_in_buckets_are_read_as_local_ones(layout, bucket, tmp_path):
    files, expected = LAYOUTS[layout]
    place = locate(bucket) / "my study"
    for file in (*files, ".hidden", "__MACOSX/a/x.png"):
        (place / "folder" / file).write_bytes(file.encode())
    (place / "s.zip").write_bytes(make_zip(tmp_path / "s.zip", *files).read_bytes())
    for source in (find_images(place / "folder"), find_images(place / "s.zip")):
        assert found(source) == expected
        assert [source.reader.read(member.locator).decode() for member in source.members] == [
            member.path for member in source.members
        ]


def test_nothing_in_a_bucket_is_no_source(bucket):
    with pytest.raises(UserError, match="no such file or folder"):
        find_images(locate(bucket) / "nobody")


def test_what_is_no_source_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.zip").write_text("not a zip")
    make_folder(tmp_path / "flat", "1.png")
    for name, hint in (("missing", "no such"), ("text.zip", "not a zip"), ("flat", "no class folders")):
        with pytest.raises(UserError, match=hint) as caught:
            find_images(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_data_set_is_no_source(tmp_path):
    make_folder(tmp_path / "set", "dataset.json", "images/part-00000.parquet", "audit/audit.png")
    with pytest.raises(UserError, match=r"SRC .*set: is a data set already; .* `--add-to .*set` adds others to it"):
        find_images(tmp_path / "set")


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_control_characters_in_names_are_shown_escaped(make, tmp_path):
    path = make(tmp_path / "source", "a\nb/1\x1b[31m.png", "c/2.png")
    source = find_images(path)
    assert source.classes == (r"a\nb", "c")
    assert source.members[0].path == r"a\nb/1\x1b[31m.png"
    assert source.reader.read(source.members[0].locator) == b"a\nb/1\x1b[31m.png"
