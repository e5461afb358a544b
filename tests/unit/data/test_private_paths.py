"""Names for the paths of DICOM files: nobody's name in them, two never the same, the same in every import."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from raysynth.data import private_paths
from raysynth.data.import_notices import say_hidden_paths
from raysynth.data.private_paths import private_names, private_rejected
from raysynth.data.sources import Member, Source, find_images

PATIENT = "patient-3fa9c04b71d2"


def member(id_: str, class_name: str = "glioma", split: str | None = None) -> Member:
    return Member(id_, f"study/{id_}", id_, class_name, split, 1)


def names(*members: Member, group: str = PATIENT) -> list[str]:
    return private_names(members, ["DICOM"] * len(members), [group] * len(members))


def test_only_dicom_gets_another_name():
    members = [member("glioma/SMITH_JOHN/T1/IM0001"), member("glioma/1.png"), member("glioma/sub-01/sub-01_T1w.nii.gz")]
    hidden, *kept = private_names(members, ["DICOM", "PNG", "NIfTI"], [PATIENT, "", "study/glioma/sub-01_T1w.nii.gz"])
    assert kept == [other.id for other in members[1:]]
    assert re.fullmatch(rf"glioma/{PATIENT}/[0-9a-f]{{12}}\.dcm", hidden)


@pytest.mark.parametrize(
    ("id_", "split", "folder"),
    [
        ("glioma/SMITH_JOHN.dcm", None, "glioma"),
        ("Training/glioma/SMITH_JOHN/x.dcm", "train", "Training/glioma"),
        ("images/SMITH_JOHN/x.dcm", None, "glioma"),  # rows of tables, which need not have class folders
        ("images/SMITH_JOHN/x.dcm", "test", "glioma"),
        ("Training/SMITH_JOHN.dcm", None, "glioma"),
    ],
)
def test_class_and_split_are_kept_and_no_group_is_no_folder(id_, split, folder):
    [with_group], [without] = names(member(id_, split=split)), names(member(id_, split=split), group="")
    digits = with_group.removeprefix(f"{folder}/{PATIENT}/")
    assert re.fullmatch(r"[0-9a-f]{12}\.dcm", digits)
    assert without == f"{folder}/{digits}"


def test_frames_share_a_name_that_does_not_depend_on_the_other_files():
    members = [member(f"glioma/SMITH_JOHN/T1/IM{number:04d}") for number in range(50)]
    all_names = names(*members)
    assert len(set(all_names)) == 50
    assert names(members[7], members[7], members[3]) == [all_names[7], all_names[7], all_names[3]]


def test_names_are_unique_even_where_hashes_begin_alike(monkeypatch):
    monkeypatch.setattr(private_paths, "NUM_DIGITS", 1)
    members = [member(f"glioma/SMITH_JOHN/T1/IM{number:04d}") for number in range(40)]
    many = names(*members)
    assert len(set(many)) == 40
    [short] = names(members[0])
    assert len(short) == len(f"glioma/{PATIENT}/0.dcm")
    picture = member(short)  # a file that is called so already
    beside, kept = private_names([members[0], picture], ["DICOM", "PNG"], [PATIENT, ""])
    assert kept == short
    assert len(beside) > len(short)


def rejected_of(paths: list[str], formats: tuple[str, ...] = (), reason: str = "a reason") -> list[str]:
    taken = Member("glioma/1", "study/glioma/1", "study/glioma/1", "glioma", None, 1)
    source = Source(Path("study"), None, (taken,), ("glioma", "test"), {"Training": "train"}, ())  # type: ignore[arg-type]
    rows = private_rejected([(path, reason) for path in paths], source, formats)
    assert [kept for _, kept in rows] == [reason] * len(paths)
    return [path for path, _ in rows]


PICTURES = ["study/glioma/1.png", "study/glioma/notes.txt", "study/glioma/old/2.jpg", "study/README"]
SCANS = ["study/glioma/SMITH_JOHN/sub-01_T1w.nii.gz", "study/glioma/sub-02.nii"]
DICOM = [
    "study/glioma/SMITH_JOHN/T1/IM0001",
    "study/glioma/SMITH_JOHN/T1/1.2.840.10008.5",
    "study/glioma/SMITH_JOHN.dcm",
    "study/Training/glioma/SMITH_JOHN/x.IMA",
    "study/Training/SMITH_JOHN.dcm",
    "SMITH_JOHN.DCM",
]


def test_what_looks_like_dicom_is_rejected_under_another_name():
    assert rejected_of(PICTURES + SCANS) == PICTURES + SCANS
    hidden = rejected_of([*DICOM, *SCANS])
    assert hidden[len(DICOM) :] == SCANS
    assert [re.sub(r"[0-9a-f]{12}$", "", path) for path in hidden[: len(DICOM)]] == [
        "glioma/",
        "glioma/",
        "glioma/",
        "Training/glioma/",
        "Training/",
        "",
    ]
    assert len(set(hidden)) == len(hidden)


@pytest.mark.parametrize("formats", [("DICOM", "PNG"), ()])
def test_beside_dicom_only_pictures_in_their_place_and_nifti_are_certainly_something_else(formats):
    doubtful = ["study/glioma/SMITH_JOHN/photo.jpg", "study/glioma/SMITH_JOHN.pdf", "study/glioma/SMITH.JOHN"]
    paths = [*doubtful, "study/glioma/1.png", *SCANS, "study/glioma/x.dcm"]
    kept = rejected_of(paths, formats)
    assert kept[3:-1] == ["study/glioma/1.png", *SCANS]
    assert not any("SMITH" in path for path in kept[:3])


def test_a_rejected_file_has_the_hash_that_it_has_when_it_is_mended():
    [name] = names(member("glioma/SMITH_JOHN/IM1"))
    assert rejected_of(["study/glioma/SMITH_JOHN/IM1"])[0].split("/")[-1] == Path(name).stem


def test_reasons_do_not_quote_a_hidden_path(tmp_path):
    """As zipfile's do: here by a wrong checksum, of a file of somebody whose name needs double quotes."""
    path = "glioma/O'HARA_JO/IM0001"
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as file:
        file.writestr(path, b"pixels of a patient")
        file.writestr("glioma/1.png", b"pixels of a picture")
    data = (tmp_path / "scans.zip").read_bytes()
    (tmp_path / "scans.zip").write_bytes(data.replace(b"pixels of", b"pixels 0f"))
    source = find_images(tmp_path / "scans.zip")
    rejected = []
    for one in source.members:
        with pytest.raises(zipfile.BadZipFile, match=Path(one.path).name) as error:
            source.reader.read(one.locator)
        rejected.append((one.path, f"cannot be read: {error.value}"))
    picture, scan = private_rejected(rejected, replace(source, members=()), [])
    assert picture == rejected[0]
    assert scan[1] == "cannot be read: Bad CRC-32 for file ..."


@pytest.mark.parametrize(("num_hidden", "num_lines"), [(0, 0), (3, 4), (100, 22)])
def test_the_screen_tells_where_hidden_files_are(num_hidden, num_lines):
    rejected = [
        ("glioma/1.png", "corrupt"),
        *((f"glioma/SMITH_{number}.dcm", "corrupt") for number in range(num_hidden)),
    ]
    kept = [rejected[0], *((f"glioma/{number}", "corrupt") for number in range(num_hidden))]
    said: list[str] = []
    say_hidden_paths(rejected, kept, said.append)
    assert len(said) == num_lines
    assert [line.strip() for line in said[1:3]] == [f"glioma/{n} = glioma/SMITH_{n}.dcm" for n in range(num_hidden)][:2]
