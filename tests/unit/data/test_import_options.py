"""Options of an import: what is refused, and what is not."""

import pytest

from raysynth.data.import_options import check_shares, rename_classes
from raysynth.data.readers import FolderReader
from raysynth.data.sources import Source
from raysynth.errors import UserError


def test_shares_must_leave_images_to_train_on():
    check_shares("grouped", 0.5, 0.4)
    with pytest.raises(UserError, match=r"^--test 0.5 --validation 0.5: leave nothing to train on"):
        check_shares("grouped", 0.5, 0.5)


def test_with_folds_the_test_share_is_not_looked_at():
    check_shares("grouped", 0.5, 0.5, folds=2)
    check_shares("grouped", 7.0, 0.0, folds=2)
    with pytest.raises(UserError, match=r"^--validation 1.0: a share"):
        check_shares("grouped", 0.1, 1.0, folds=2)


@pytest.mark.parametrize("name", ["a/b", "a\\b", ".a", " ", "a\nb", "a\x00", "a\u2028b"])
def test_a_class_is_not_renamed_to_what_cannot_be_a_folder(name, tmp_path):
    source = Source(tmp_path, FolderReader(tmp_path), (), ("old",), {}, ())
    assert rename_classes(source, {"old": " new class "}) == {"old": "new class"}
    with pytest.raises(UserError, match=r"^--rename old=.* is no class name") as failure:
        rename_classes(source, {"old": name})
    assert len(str(failure.value).splitlines()) == 1
