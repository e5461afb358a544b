"""Names that stand in a data set for paths that identify a person, as those of DICOM files do: SMITH_JOHN/T1/IM0001.

The name of an image whose file is DICOM is CLASS/GROUP/HASH.dcm, with the source's split folder in front if there is
one: glioma/patient-3fa9c04b71d2/5c1e77aa9b01.dcm. GROUP is the pseudonym made of the file's header (`dicom.group_of`).
HASH is the beginning of a BLAKE2b hash (16 bytes) of the path below the wrapping folder, so that whoever has the source
finds the file again, and the same file has the same name in every import. It hides a path from a reader of the data
set, not from somebody who guesses it: they can hash their guess and compare.

Pictures keep their paths: somebody exported and named them, and no header offers a pseudonym. So do NIfTI files: by
convention (BIDS) they and their folders carry pseudonyms such as sub-01_T1w.nii.gz, which other tables refer to; where
they lie in folders named after persons, rename those first. Names of classes and of splits are kept, and so is a group
that a table or `--groups` gives: the user chose it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from raysynth.data.decode import DICOM_SUFFIXES, NIFTI_SUFFIXES
from raysynth.data.sources import PICTURE_SUFFIXES, SPLIT_FOLDERS, Member, Source

NUM_DIGITS = 12  # of a hash, unless two images would have the same name
QUOTED = re.compile(r"b?['\"].*['\"]", re.DOTALL)  # from the first to the last quotation mark


def private_names(members: Sequence[Member], formats: Sequence[str], groups: Sequence[str]) -> list[str]:
    """What each image is called (N,): its member's id, or a name that tells nothing where its format is DICOM.

    `members`, `formats` and `groups` have one entry an image; the images of one member have the same name, those of
    two members never. `groups` are the headers' own pseudonyms, empty where there is none.
    """
    folders = {
        member.id: "/".join([*_split_folder(member), member.class_name, *([group] if group else [])])
        for member, file_format, group in zip(members, formats, groups, strict=True)
        if file_format == "DICOM"
    }
    names = {member.id: member.id for member in members}
    names |= {id_: f"{folder}/{_hash(id_)[:NUM_DIGITS]}.dcm" for id_, folder in folders.items()}
    num_of_name = Counter(names.values())
    names |= {id_: f"{folder}/{_hash(id_)}.dcm" for id_, folder in folders.items() if num_of_name[names[id_]] > 1}
    return [names[member.id] for member in members]


def private_rejected(
    rejected: Sequence[tuple[str, str]], source: Source, formats: Collection[str]
) -> list[tuple[str, str]]:
    """Rejected files (path, reason) in their order as they may be kept, [SPLIT/]CLASS/HASH where they may be DICOM.

    That is by the suffix, or by having none below the class folder, as scanners write them. Where there is DICOM
    (`formats` are those of the images taken) only NIfTI and the pictures in the class folders themselves are certainly
    something else. A hidden path disappears from the reason too, where the systems' messages quote it.
    """
    has_dicom = "DICOM" in set(formats) or any(path.casefold().endswith(DICOM_SUFFIXES) for path, _ in rejected)
    wrapper = next((member.path.removesuffix(member.id) for member in source.members), "")
    rows = []
    for path, reason in rejected:
        id_ = path.removeprefix(wrapper)
        kept = _known_folders(id_, source)
        if _may_be_dicom(id_.split("/")[len(kept) :], has_dicom):
            path, reason = "/".join([*kept, _hash(id_)[:NUM_DIGITS]]), QUOTED.sub("...", reason)
        rows.append((path, reason))
    return rows


def _hash(id_: str) -> str:
    """32 hex digits."""
    return hashlib.blake2b(id_.encode(), digest_size=16).hexdigest()


def _split_folder(member: Member) -> list[str]:
    first = member.id.split("/")[0]
    return [first] if member.split and SPLIT_FOLDERS.get(first.casefold()) == member.split else []


def _known_folders(id_: str, source: Source) -> list[str]:
    """The folders at the beginning of a path that are the source's own: split, class or both."""
    folders = id_.split("/")[:-1]
    num_kept = 1 if folders[:1] and folders[0] in source.split_folders else 0
    num_kept += any(unicodedata.normalize("NFC", name) in source.classes for name in folders[num_kept : num_kept + 1])
    return folders[:num_kept]


def _may_be_dicom(below: Sequence[str], has_dicom: bool) -> bool:
    """Of a file by its path below the class folder, and by whether there is any DICOM."""
    name, is_nested = below[-1].casefold(), len(below) > 1
    if name.endswith(DICOM_SUFFIXES):
        return True
    if name.endswith(NIFTI_SUFFIXES):
        return False
    if has_dicom:
        return is_nested or not name.endswith(PICTURE_SUFFIXES)
    has_suffix = PurePosixPath(name).suffix.strip(".0123456789") != ""  # names like 1.2.840.10008 have none
    return is_nested and not has_suffix
