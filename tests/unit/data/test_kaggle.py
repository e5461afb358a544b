"""`kaggle:OWNER/NAME`: what is downloaded, and what is said where it cannot be. The network is never used."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from raysynth.data.importer import import_images
from raysynth.data.kaggle import download
from raysynth.errors import UserError


@pytest.fixture
def kagglehub(monkeypatch, tmp_path):
    """A kagglehub that has one data set and keeps the names that it was asked for."""
    for name in ("a", "b"):
        (tmp_path / "cache" / "Training" / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.random.default_rng(i).integers(0, 256, (9, 9), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "cache" / "Training" / name / f"{i}.png")

    def dataset_download(name: str) -> str:
        module.asked.append(name)
        if name != "owner/brain-mri":
            raise RuntimeError("404\nnot found")
        return str(tmp_path / "cache")

    module = ModuleType("kagglehub")
    module.asked = []
    module.dataset_download = dataset_download
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_a_data_set_is_downloaded_and_imported(kagglehub, tmp_path):
    dataset = import_images("kaggle:owner/brain-mri", tmp_path / "out", size=8, say=lambda line: None)
    assert kagglehub.asked == ["owner/brain-mri"]
    assert dataset.classes == ("a", "b")
    assert dataset.source["path"] == "kaggle:owner/brain-mri"


def test_without_kagglehub_the_way_by_hand_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as if it were not installed
    with pytest.raises(UserError) as refused:
        import_images("kaggle:owner/brain-mri", tmp_path / "out", say=lambda line: None)
    message = str(refused.value)
    assert "pip install 'raysynth[kaggle]'" in message
    assert "https://www.kaggle.com/datasets/owner/brain-mri" in message
    assert "\n" not in message


def test_a_failing_download_is_one_line_with_the_reason(kagglehub):
    with pytest.raises(UserError, match=r"404 not found") as refused:
        download("kaggle:owner/other/versions/2")
    assert "\n" not in str(refused.value)
    assert "/datasets/owner/other" in str(refused.value)


@pytest.mark.parametrize("name", ["", "brain", "a/b/c", "../b", "a b/c", "owner/name?x=1", "https://kaggle.com/a/b"])
def test_what_is_no_name_is_not_asked_for(kagglehub, name):
    with pytest.raises(UserError, match="kaggle:OWNER/NAME"):
        download(f"kaggle:{name}")
    assert kagglehub.asked == []
