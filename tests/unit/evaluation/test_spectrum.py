"""Power by frequency in closed form: white noise, one wave, blur."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from raysynth.evaluation import spectrum
from raysynth.evaluation.spectrum import (
    class_spectra,
    describe_spectra,
    radial_power,
    spatial_frequencies,
    spectrum_distance,
    spectrum_table,
)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 24), (1, 16, 16, 12)])
def test_white_noise_has_its_variance_at_every_frequency(shape):
    images = np.random.default_rng(0).normal(128, 20, (400, *shape)).round().clip(0, 255).astype(np.uint8)
    power = radial_power(images).mean(axis=0)
    frequencies = spatial_frequencies(shape[1:])
    assert power.shape == frequencies.shape == (min(shape[1:]) // 2,)
    assert frequencies[0] == 1 / min(shape[1:])
    assert frequencies[-1] == 0.5
    # The first ring lacks what the window lets through of the mean that was taken away.
    assert power[1:] == pytest.approx(np.full(len(power) - 1, 20**2 + 1 / 12), rel=0.1)


def test_a_wave_is_found_at_its_frequency():
    x = np.arange(64)
    image = (128 + 100 * np.cos(2 * np.pi * 10 / 64 * x)).round().astype(np.uint8)
    power = radial_power(np.tile(image, (1, 1, 64, 1)))[0]
    assert np.argmax(power) == 10 - 1
    assert power[8:11].sum() > 0.99 * power.sum()


def test_brightness_does_not_count_and_an_even_image_has_no_power():
    images = np.random.default_rng(0).integers(0, 100, (3, 1, 16, 16), dtype=np.uint8)
    assert radial_power(images + np.uint8(50)) == pytest.approx(radial_power(images), rel=1e-3)
    assert radial_power(np.full((2, 1, 16, 16), 99, dtype=np.uint8)) == pytest.approx(np.zeros((2, 8)))


def test_power_does_not_depend_on_how_many_are_transformed_at_a_time(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 16, 16), dtype=np.uint8)
    whole = radial_power(images)
    monkeypatch.setattr(spectrum, "_VOXELS", 2 * 16 * 16)
    assert np.array_equal(radial_power(images), whole)
    assert radial_power(images[:0]).shape == (0, 8)


def test_blur_and_grain_have_opposite_signs():
    rng = np.random.default_rng(0)
    sharp = gaussian_filter(rng.normal(size=(50, 1, 32, 32)), (0, 0, 1, 1)) * 150 + 128
    grainy = sharp + rng.normal(0, 10, sharp.shape)
    blurred = gaussian_filter(sharp, (0, 0, 1, 1))
    powers = [radial_power(x.clip(0, 255).astype(np.uint8)).mean(axis=0) for x in (sharp, blurred, grainy)]
    frequencies = spatial_frequencies((32, 32))
    blur, grain = (spectrum_distance(powers[0], power, frequencies) for power in powers[1:])
    assert blur["log10_bias_high"] < -0.3
    assert grain["log10_bias_high"] > 0.3
    for found in (blur, grain):
        assert found["log10_error_high"] == pytest.approx(abs(found["log10_bias_high"]))
        assert found["log10_error_high"] > found["log10_error"]


def test_a_factor_of_ten_is_one():
    power, frequencies = np.array([100.0, 30, 10, 3]), np.arange(1, 5) / 8
    assert set(spectrum_distance(power, power, frequencies).values()) == {0}
    assert set(spectrum_distance(power, 10 * power, frequencies).values()) == {1}
    nothing = spectrum_distance(power, np.zeros(4), frequencies)
    assert all(np.isfinite(value) for value in nothing.values())


def test_tables_name_classes_and_leave_out_empty_ones():
    sums, num_images = np.array([[2.0, 4], [0, 0], [9, 3]]), np.array([2, 0, 3])
    spectra = class_spectra(sums, num_images, ["a", "b", "all"])
    assert list(spectra) == ["all", "a"]
    assert spectra["all"].tolist() == [11 / 5, 7 / 5]
    table = spectrum_table("made", "train", spectra, np.array([0.25, 0.5]))
    assert list(table.columns) == list(spectrum.COLUMNS)
    assert table["power"].tolist() == [2.2, 1.4, 1, 2]
    assert class_spectra(sums[1:2], num_images[1:2], ["b"]) == {}
    rows = pd.DataFrame([{"synthetic": "real", "class": "all", "log10_bias_high": -1.0}])
    assert describe_spectra(rows) == ["real validation images: power at the upper half of frequencies 0.10 x real"]
