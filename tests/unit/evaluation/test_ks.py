import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp, wasserstein_distance

from raysynth.evaluation import ks
from raysynth.evaluation.histograms import count_intensities
from raysynth.evaluation.ks import describe_ks, ks_table
from raysynth.evaluation.pixel_statistics import PixelStatistics

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


def statistics(counts: np.ndarray) -> PixelStatistics:
    """Of images whose histograms (K, N, V, C, 256) are given, each a group of its own."""
    num_classes, num_images = counts.shape[:2]
    flat = counts.reshape(num_classes * num_images, *counts.shape[2:])
    labels = np.repeat(np.arange(num_classes), num_images)
    return PixelStatistics(
        views=("all", "foreground")[: counts.shape[2]],
        histograms=np.moveaxis(counts.sum(axis=1), 1, 0),
        num_images=np.array([np.count_nonzero(part.any(axis=(1, 2, 3))) for part in counts]),
        power=np.zeros((num_classes, 1)),
        grouped=flat[flat.any(axis=(1, 2, 3))],
        labels=labels[flat.any(axis=(1, 2, 3))],
        groups=np.arange(len(flat))[flat.any(axis=(1, 2, 3))].astype(str),
    )


def test_a_row_a_view_class_and_channel():
    rng = np.random.default_rng(0)
    real = statistics(rng.integers(0, 9, (2, 12, 2, 3, 256)))
    generated = rng.integers(0, 9, (2, 12, 2, 3, 256))
    generated[:, :, 1, 2, :128] = 0  # half of the foreground's intensities are missing in the last channel
    table = ks_table("made", real, statistics(generated), ["a", "b"], lambda line: None)
    assert list(table.columns) == list(ks.COLUMNS)
    assert len(table) == 2 * 3 * 3
    assert table["n"].tolist() == 2 * (3 * [24] + 6 * [12])
    found = table.set_index(["pixels", "class", "channel"])
    assert found.loc[("foreground", "all", 2), "statistic"] == pytest.approx(0.5, abs=0.01)
    assert found.loc[("foreground", "all", 2), "p_value"] == pytest.approx(0.001)
    assert found.loc[("all", "all", 2), "p_value"] > 0.01
    line, other = describe_ks(pd.concat([table, table.assign(synthetic="real")]))
    assert line.startswith("made: KS 0.0")
    assert "without background" in line
    assert line.endswith("(p 0.001)")
    assert other.startswith("real validation images: KS")


def test_a_class_that_one_set_lacks_is_left_out():
    real = np.zeros((2, 3, 1, 1, 256), dtype=np.int64)
    real[..., 100] = 4
    generated = real.copy()
    generated[1] = 0
    said: list[str] = []
    table = ks_table("made", statistics(real), statistics(generated), ["a", "b"], said.append)
    assert list(table["class"]) == ["all", "a"]
    assert list(table["statistic"]) == [0, 0]
    assert list(table["p_value"]) == [1, 1]
    assert len(said) == 1
    assert "made: no comparison" in said[0]
    assert " b:" in said[0]


def test_a_view_without_pixels_is_left_out():
    real = np.ones((1, 3, 2, 1, 256), dtype=np.int64)
    black = real.copy()
    black[:, :, 1] = 0
    table = ks_table("black", statistics(real), statistics(black), ["a"], lambda line: None)
    assert set(table["pixels"]) == {"all"}
