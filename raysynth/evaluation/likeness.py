"""How like the real images synthetic ones are, written into an evaluation's folder: in their pixels and in features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from raysynth.data.dataset import Dataset
from raysynth.data.default import cache_folder
from raysynth.data.locations import Location
from raysynth.evaluation.background import learn_background
from raysynth.evaluation.features import MAX_IMAGES, extract_features
from raysynth.evaluation.fidelity import NUM_DRAWS, describe_fidelity, fidelity_table
from raysynth.evaluation.histograms import ALL_CLASSES, histogram_table
from raysynth.evaluation.inputs import SyntheticSet
from raysynth.evaluation.ks import describe_ks, ks_table
from raysynth.evaluation.manifold import NEIGHBOURS
from raysynth.evaluation.permutation import NUM_PERMUTATIONS
from raysynth.evaluation.pixel_statistics import PixelStatistics, measure_pixels
from raysynth.evaluation.plan import REAL
from raysynth.evaluation.spectrum import (
    class_spectra,
    describe_spectra,
    spatial_frequencies,
    spectrum_distance,
    spectrum_table,
)
from raysynth.files import write_text

Say = Callable[[str], None]


def compare_pixels(
    folder: Path,
    real: Dataset,
    synthetic: Sequence[SyntheticSet],
    leakage: Mapping[str, str],
    *,
    with_ray: bool,
    say: Say,
) -> dict[str, Any]:
    """Write histograms.csv, ks.csv, spectrum.csv and spectrum_summary.csv; return how they were measured.

    Real `train` images against each synthetic set, and as the floor, under the name "real", against `validation` ones.
    """
    level = learn_background(real)
    parts = [(real, "train"), (real, "validation"), *((item.dataset, "train") for item in synthetic)]
    train, validation, *others = measure_pixels(parts, real.classes, level=level, with_ray=with_ray)
    generated = {item.name: found for item, found in zip(synthetic, others, strict=True)}
    against = ({REAL: validation} if validation.num_images.any() else {}) | generated

    histograms = [
        histogram_table(name, found.histograms[0], real.classes) for name, found in ({REAL: train} | generated).items()
    ]
    distances = [ks_table(name, train, found, real.classes, say) for name, found in against.items()]
    spectra, spectrum_distances = _compare_spectra(real, train, against)
    for line in (*describe_ks(pd.concat(distances)), *describe_spectra(spectrum_distances)):
        say(line)
    for name, source, tables in (
        ("histograms", "source", histograms),
        ("ks", "synthetic", distances),
        ("spectrum", "source", spectra),
        ("spectrum_summary", "synthetic", [spectrum_distances]),
    ):
        table = pd.concat(tables, ignore_index=True)
        _write_table(folder / f"{name}.csv", table.assign(leakage=table[source].map(leakage)))
    return {"background_level": level, "permutations": NUM_PERMUTATIONS}


def _compare_spectra(
    real: Dataset, train: PixelStatistics, against: Mapping[str, PixelStatistics]
) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    frequencies = spatial_frequencies(real.shape[1:])
    of_train = class_spectra(train.power, train.num_images, real.classes)
    tables = [spectrum_table(REAL, "train", of_train, frequencies)]
    rows: list[dict[str, Any]] = []
    for name, found in against.items():
        spectra = class_spectra(found.power, found.num_images, real.classes)
        tables.append(spectrum_table(name, "validation" if name == REAL else "train", spectra, frequencies))
        counts = dict(zip(real.classes, map(int, found.num_images), strict=True))
        counts |= {ALL_CLASSES: int(found.num_images.sum())}
        rows += [
            {"synthetic": name, "class": class_name, "n": counts[class_name]}
            | spectrum_distance(of_train[class_name], power, frequencies)
            for class_name, power in spectra.items()
            if class_name in of_train
        ]
    return tables, pd.DataFrame(rows)


def compare_features(
    folder: Path,
    place: Location,
    real: Dataset,
    synthetic: Sequence[SyntheticSet],
    leakage: Mapping[str, str],
    *,
    with_ray: bool,
    say: Say,
) -> dict[str, Any]:
    """Write fidelity.csv, each set against real `validation` images; return how it was measured.

    `folder` is that of the evaluation, `place` where it is known to other machines: the same, or in a bucket.
    """
    from raysynth.evaluation.scoring_network import ensure_scoring_network
    from raysynth.models.backbone import DEFAULT_BACKBONE

    file = ensure_scoring_network(real, fallback_folder=cache_folder() / "scoring", run_folder=place, say=say)
    parts = [(real, "train"), (real, "validation"), *((item.dataset, "train") for item in synthetic)]
    train, validation, *others = extract_features(parts, real.classes, file, with_ray=with_ray)
    sets = {item.name: found for item, found in zip(synthetic, others, strict=True)}
    table = fidelity_table(train, validation, sets, real.classes)
    _write_table(folder / "fidelity.csv", table.assign(leakage=table["source"].map(leakage)))
    for line in describe_fidelity(table) or ["no fidelity: the real data set has no validation images"]:
        say(line)
    return {
        "scoring_network": str(file),
        "backbone": DEFAULT_BACKBONE,
        "split": "validation",
        "neighbours": NEIGHBOURS,
        "draws": NUM_DRAWS,
        "most_images": MAX_IMAGES,
    }


def _write_table(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False))
