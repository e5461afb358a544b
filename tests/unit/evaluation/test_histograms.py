import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp, wasserstein_distance

from raysynth.evaluation import ks
from raysynth.evaluation.histograms import (
    class_histograms,
    count_intensities,
    dataset_histograms,
    histogram_table,
)

PIXELS = arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, 255))


@given(PIXELS, PIXELS)
@settings(max_examples=60, deadline=None)
def test_ks_and_wasserstein_equal_scipy_on_the_pixels(a, b):
    counts_a, counts_b = (np.bincount(pixels, minlength=256) for pixels in (a, b))
    assert ks.ks_statistic(counts_a, counts_b) == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    assert ks.wasserstein_distance(counts_a, counts_b) == pytest.approx(wasserstein_distance(a, b), abs=1e-9)


def test_ks_equals_scipy_on_whole_images():
    random = np.random.default_rng(0)
    a = random.integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    b = random.normal(128, 40, (30, 3, 32, 32)).clip(0, 255).astype(np.uint8)
    counts_a, counts_b = (count_intensities(x, np.zeros(len(x), dtype=int), 1)[0] for x in (a, b))
    for channel in range(3):
        wanted = ks_2samp(a[:, channel].ravel(), b[:, channel].ravel()).statistic
        assert abs(ks.ks_statistic(counts_a[channel], counts_b[channel]) - wanted) < 1e-12


def test_shifted_pixels_are_a_shift_apart():
    counts = np.zeros(256, dtype=int)
    counts[10:20] = 5
    assert ks.wasserstein_distance(counts, np.roll(counts, 7)) == pytest.approx(7)
    assert ks.ks_statistic(counts, counts) == 0


def test_an_empty_histogram_is_refused():
    with pytest.raises(ValueError, match="empty"):
        ks.ks_statistic(np.zeros(256), np.ones(256))


def test_partial_histograms_add_up():
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (50, 2, 8, 8), dtype=np.uint8)
    labels = random.integers(-1, 3, 50)
    parts = sum(count_intensities(images[i : i + 7], labels[i : i + 7], 3) for i in range(0, 50, 7))
    whole = count_intensities(images, labels, 3)
    assert np.array_equal(parts, whole)
    assert whole.sum() == (labels >= 0).sum() * 2 * 64


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (3, 4, 4), (2, 3, 4, 5), (1, 0, 4)])
def test_each_pixel_counts_once_for_its_class_channel_and_intensity(shape):
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (12, *shape), dtype=np.uint8)
    labels = np.tile([0, 2, -1, 3], 3)  # 1 has no images, and 3 is none of the three classes
    expected = np.zeros((3, shape[0], 256), dtype=np.int64)
    for image, label in zip(images, labels, strict=True):
        if label in (0, 2):
            for channel, pixels in enumerate(image):
                np.add.at(expected[label, channel], pixels.ravel(), 1)
    for view in (images, images[::-1][::-1], np.asfortranarray(images)):
        counts = count_intensities(view, labels, 3)
        assert counts.dtype == np.int64
        assert np.array_equal(counts, expected)
    assert not count_intensities(images[:0], labels[:0], 3).any()


def test_only_train_rows_count_and_classes_match_by_name(make_dataset):
    dataset = make_dataset("set", classes=("b", "a"), num_train=6, num_test=3)
    images, labels = dataset.pixels("train")
    (histograms,) = dataset_histograms([dataset], ["a", "b", "c"], with_ray=False)
    assert histograms.sum() == images.size
    assert np.array_equal(histograms[0], count_intensities(images[labels == 1], np.zeros(3, dtype=int), 1)[0])
    assert not histograms[2].any()


def test_tables_leave_out_a_class_that_one_set_lacks():
    real = np.zeros((2, 1, 256), dtype=np.int64)
    real[:, :, 100] = 4
    generated = real.copy()
    generated[1] = 0
    said: list[str] = []
    table = ks.ks_table("made", real, generated, ["a", "b"], said.append)
    assert list(table["class"]) == ["all", "a"]
    assert list(table["statistic"]) == [0, 0]
    assert len(said) == 1
    assert "made: no comparison" in said[0]
    assert " b:" in said[0]
    assert list(class_histograms(generated, ["a", "b"])) == ["all", "a"]
    counts = histogram_table("made", generated, ["a", "b"])
    assert len(counts) == 2 * 256
    assert counts["count"].sum() == 8
