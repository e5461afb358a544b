import numpy as np
import pytest

from raysynth.evaluation.histograms import class_histograms, count_intensities, histogram_table


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


def test_tables_leave_out_a_class_without_pixels():
    histograms = np.zeros((2, 1, 256), dtype=np.int64)
    histograms[0, :, 100] = 8
    assert list(class_histograms(histograms, ["a", "b"])) == ["all", "a"]
    counts = histogram_table("made", histograms, ["a", "b"])
    assert len(counts) == 2 * 256
    assert counts["count"].sum() == 16
