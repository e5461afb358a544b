"""A study made up from random numbers: data sets, a run, a sweep and an evaluation, as the other verbs write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset

SCORES = [
    "accuracy",
    *(f"{score}_{kind}" for score in ("recall", "precision", "f1") for kind in ("micro", "macro")),
]

ENDS = ("low", "high")


@pytest.fixture
def quick_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at words only: charts are drawn and not laid out."""
    monkeypatch.setattr("raysynth.report.style.to_svg", lambda figure, fonts: "<svg/>")


@pytest.fixture
def loose_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at words in charts: these are drawn where they happen to lie, in a third of the time."""
    monkeypatch.setattr("raysynth.report.style.ConstrainedLayoutEngine", lambda **options: None)


@dataclass
class Study:
    """Where the made-up files are."""

    folder: Path
    evaluation: Path
    real: Path
    synthetic: list[Path]
    sweep: Path
    classes: list[str]

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Edit `evaluation.json` in place."""
        file = self.evaluation / "evaluation.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        edit(content)
        file.write_text(json.dumps(content), encoding="utf-8")


def make_images(num_images: int, channels: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Bright discs on a dark ground, (N, C, H, W) uint8."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    radius = rng.uniform(0.25, 0.45, (num_images, 1, 1, 1))
    discs = (np.hypot(x, y)[None, None] < radius) * rng.uniform(60, 200, (num_images, channels, 1, 1))
    noise = rng.normal(0, 12, (num_images, channels, size, size)) * (discs > 0)
    return np.clip(discs + noise, 0, 255).astype(np.uint8)


def make_set(
    path: Path,
    classes: Sequence[str],
    per_class: int,
    rng: np.random.Generator,
    *,
    real: bool,
    channels: int = 1,
    size: int = 16,
    provenance: dict[str, Any] | None = None,
) -> Dataset:
    """A data set; the real one has a fifth of its images in the test split."""
    labels = np.repeat(np.arange(len(classes)), per_class)
    place = np.arange(len(labels))
    splits = np.where(real & (place % 5 == 0), "test", np.where(real & (place % 5 == 1), "validation", "train"))
    columns = {"id": [f"{path.name}-{i:05d}" for i in place], "label": labels, "split": splits}
    return write_dataset(
        path,
        name=path.name,
        kind="real" if real else "synthetic",
        classes=classes,
        images=make_images(len(labels), channels, size, rng),
        columns=columns,
        source={},
        provenance=provenance,
    )


def make_run(run: Path, real: Dataset, metrics: pd.DataFrame, config: dict[str, Any], rng: np.random.Generator) -> None:
    """A run folder with curves and one sample grid of six columns."""
    (run / "samples").mkdir(parents=True)
    data = {"path": str(real.path), "classes": list(real.classes), "shape": list(real.shape)}
    (run / "config.yaml").write_text(yaml.safe_dump({"family": "wcgan_gp", "data": data, "config": config}))
    metrics.to_csv(run / "metrics.csv", index=False)
    channels, height, width = real.shape
    grid = np.zeros((channels, len(real.classes) * (height + 2) + 2, 6 * (width + 2) + 2), np.uint8)
    for row in range(len(real.classes)):
        for column, image in enumerate(make_images(6, channels, height, rng)):
            top, left = 2 + row * (height + 2), 2 + column * (width + 2)
            grid[:, top : top + height, left : left + width] = image
    picture = Image.fromarray(grid[0]) if channels == 1 else Image.fromarray(np.moveaxis(grid, 0, -1))
    picture.save(run / "samples" / "epoch_00010.png")


def make_sweep(sweep: Path, real: Dataset, rng: np.random.Generator, *, num_epochs: int = 12) -> None:
    """A sweep of four trials, one of which failed at its start."""
    rows = []
    for place, (generator, latent) in enumerate(
        [("transposed", 64), ("transposed", 128), ("upsample", 64), ("upsample", 128)]
    ):
        trial = f"trial_{place:05d}"
        length = 0 if place == 3 else num_epochs - 3 * place
        epochs = np.arange(1, length + 1)
        frechet = (40 + 15 * place) * np.exp(-epochs / 5) + 4 + place + rng.uniform(0, 0.7, length)
        make_run(
            sweep / "runs" / trial, real, pd.DataFrame({"epoch": epochs, "d_loss": 0.1, "frechet": frechet}), {}, rng
        )
        rows.append(
            {
                "trial": trial,
                "generator": generator,
                "critic": "dropout",
                "latent_dim": latent,
                "status": "finished" if length else "failed",
                "epoch": length,
                "frechet": round(frechet[-1], 4) if length else "",
                "images_per_s": 512.3,
                "seconds": 61.5,
                "run": f"runs/{trial}",
                "message": "" if length else "stopped: d_loss is not finite",
            }
        )
    pd.DataFrame(rows).to_csv(sweep / "table.csv", index=False)
    (sweep / "space.yaml").write_text(yaml.safe_dump({"family": "wcgan_gp", "metric": "frechet", "mode": "min"}))
    best = {"trial": rows[0]["trial"], "run": rows[0]["run"], "metric": "frechet", "value": rows[0]["frechet"]}
    (sweep / "best.json").write_text(json.dumps(best))


def score(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> tuple[dict[str, float], pd.DataFrame]:
    """All scores of one training and split, and those of its classes."""
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels, predicted), 1)
    hits = np.diag(counts)
    recall, precision = hits / np.maximum(counts.sum(1), 1), hits / np.maximum(counts.sum(0), 1)
    f1 = 2 * hits / np.maximum(counts.sum(0) + counts.sum(1), 1)
    accuracy, n = hits.sum() / counts.sum(), counts.sum()
    middle, half = accuracy + 1.92 / n, 1.96 * np.sqrt(accuracy * (1 - accuracy) / n + 0.96 / n**2)
    values = dict.fromkeys(SCORES, accuracy) | {
        "recall_macro": recall.mean(),
        "precision_macro": precision.mean(),
        "f1_macro": f1.mean(),
        "accuracy_low": (middle - half) / (1 + 3.84 / n),
        "accuracy_high": (middle + half) / (1 + 3.84 / n),
    }
    values |= {f"{name}_macro_{end}": values[f"{name}_macro"] for name in ("recall", "precision", "f1") for end in ENDS}
    ends = {f"recall_{end}": recall for end in ENDS}
    return values, pd.DataFrame({"n": counts.sum(1), "recall": recall, **ends, "precision": precision, "f1": f1})


def make_tables(
    folder: Path, real: Dataset, sets: list[Dataset], trainings: list[dict[str, Any]], rng: np.random.Generator
) -> None:
    """The tables of an evaluation in which classifiers are right as often as their training set suggests."""
    classes = list(real.classes)
    skill = {"real": 0.93, "mixed": 0.95, "synthetic": 0.6}
    scores, class_scores, confusion, label_counts = [], [], [], []
    for training in trainings:
        for split in ("fit", "train", "validation", "test"):
            counts = real.counts["train" if split == "fit" else split]
            labels = np.repeat(np.arange(len(classes)), [counts[name] for name in classes])
            right = rng.random(len(labels)) < (0.99 if split == "fit" else skill[training["kind"]])
            predicted = np.where(right, labels, rng.integers(len(classes), size=len(labels)))
            key = {"trained_on": training["trained_on"], "split": split, "seed": training["seed"]}
            values, by_class = score(labels, predicted, len(classes))
            scores.append({**key, "steps": training["steps"], "n": len(labels), **values})
            for label, name in enumerate(classes):
                class_scores.append({**key, "class": name, **by_class.loc[label]})
                real_count, count = int((labels == label).sum()), int((predicted == label).sum())
                label_counts.append({**key, "class": name, "real": real_count, "predicted": count})
                for other, other_name in enumerate(classes):
                    count = int(((labels == label) & (predicted == other)).sum())
                    confusion.append({**key, "label": name, "predicted": other_name, "count": count})
    table = pd.DataFrame(scores)
    groups = table.groupby(["trained_on", "split"], sort=False)
    intervals = [
        f"{name}_{end}" for name in ("accuracy", *(each for each in SCORES if "macro" in each)) for end in ENDS
    ]
    summary = groups[["steps", "n", *intervals]].mean().assign(num_seeds=groups.size())
    for name in SCORES:
        summary[f"{name}_mean"], summary[f"{name}_std"] = groups[name].mean(), groups[name].std()
    table.to_csv(folder / "scores.csv", index=False)
    summary.reset_index().to_csv(folder / "scores_summary.csv", index=False)
    for name, rows in (("class_scores", class_scores), ("confusion", confusion), ("label_counts", label_counts)):
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    make_distributions(folder, real, sets)
    floors = {"rule": ["width x height", "mean intensity"], "looks_at": ["original size", "stored pixels"]}
    floors |= {"accuracy": [0.455, 0.55], "accuracy_low": [0.4, 0.5], "accuracy_high": [0.5, 0.6], "num_test": 20}
    pd.DataFrame(floors).to_csv(folder / "floors.csv", index=False)


def make_distributions(folder: Path, real: Dataset, sets: list[Dataset]) -> None:
    """`histograms.csv`, `ks.csv`, `spectrum.csv`, `spectrum_summary.csv` and `fidelity.csv`."""
    channels = ["grey"] if real.shape[0] == 1 else ["red", "green", "blue"]
    histograms, ks = [], []
    for source, dataset in [("real", real), *((s.name, s) for s in sets)]:
        images, labels = dataset.pixels("train")
        for name in ["all", *dataset.classes]:
            chosen = images if name == "all" else images[labels == dataset.classes.index(name)]
            for place, channel in enumerate(channels):
                counts = np.bincount(chosen[:, place].ravel(), minlength=256)
                key = {"source": source, "class": name, "channel": channel}
                histograms += [{**key, "intensity": i, "count": int(c)} for i, c in enumerate(counts)]
    table = pd.DataFrame(histograms)
    wide = table.pivot_table(index="intensity", columns=["source", "class", "channel"], values="count")
    for dataset in sets:
        for name in ["all", *dataset.classes]:
            for channel in channels:
                if not wide[(dataset.name, name, channel)].sum():
                    continue
                one, two = (c / c.sum() for c in (wide[("real", name, channel)], wide[(dataset.name, name, channel)]))
                gap = (one.cumsum() - two.cumsum()).abs()
                for pixels, share in (("all", 1.0), ("foreground", 0.5)):
                    key = {"synthetic": dataset.name, "pixels": pixels, "class": name, "channel": channel, "n": 100}
                    row = {"statistic": share * gap.max(), "wasserstein": share * gap.sum(), "p_value": 0.001}
                    ks.append(key | row)
    classes = ["all", *real.classes]
    floor = {"synthetic": "real", "n": 20, "statistic": 0.0123, "wasserstein": 1.5, "p_value": 0.4}
    ks = [
        {**floor, "pixels": pixels, "class": name, "channel": channel}
        for pixels in ("all", "foreground")
        for name in classes
        for channel in channels
    ] + ks
    fidelity = [
        {"source": source, "features": features, "class": name, "n": 20, "frechet": 7.31 if name == "all" else ""}
        | {"frechet_ratio": 0.96 / coverage, "kid": 1.2 - coverage, "kid_error": 0.0625}
        | {"coverage": coverage, "density": coverage / 2, "precision": coverage / 3, "recall": coverage / 4}
        for source, coverage in [("real", 0.96), *((s.name, 0.48) for s in sets)]
        for features in ("scoring", "backbone")
        for name in classes
    ]
    made = [(s.name, "train", 0.25) for s in sets]
    spectrum = [
        {"source": source, "split": split, "class": name, "frequency": k / 16, "power": level * 1000 / k**2}
        for source, split, level in [("real", "train", 1.0), ("real", "validation", 0.9), *made]
        for name in classes
        for k in range(1, 9)
    ]
    summary = [
        {"synthetic": source, "class": name, "n": 20, "log10_bias_high": -error}
        | {"log10_error": error, "log10_error_high": error}
        for source, error in [("real", 0.05), *((s.name, 0.6) for s in sets)]
        for name in classes
    ]
    pd.DataFrame(spectrum).to_csv(folder / "spectrum.csv", index=False)
    pd.DataFrame(summary).to_csv(folder / "spectrum_summary.csv", index=False)
    pd.DataFrame(fidelity).to_csv(folder / "fidelity.csv", index=False)
    make_copies(folder, real, sets)
    table.to_csv(folder / "histograms.csv", index=False)
    pd.DataFrame(ks).to_csv(folder / "ks.csv", index=False)


def make_copies(folder: Path, real: Dataset, sets: list[Dataset]) -> None:
    """The four files about copies: of the first set four images are some, and of the others none."""
    rng = np.random.default_rng(5)
    copies, pairs, summary = [], [], []
    ids, images = real.read(["id"])["id"].to_pylist(), real.pixels()[0]
    for place, dataset in enumerate(sets):
        pixels, labels = dataset.pixels("train")
        score = np.sort(rng.uniform(0.9, 2.5, len(labels)))
        score[:4] = 0.2 if place == 0 else 1.2
        rows = pd.DataFrame(
            {
                "synthetic": dataset.name,
                "id": dataset.read(["id"], "train")["id"].to_pylist(),
                "class": [dataset.classes[label] for label in labels],
                "nearest_train_id": rng.choice(ids, len(labels)),
                "nearest_held_out_id": rng.choice(ids, len(labels)),
                "mirrored": np.arange(len(labels)) % 2 == 0,
                "ratio": score / 2,
                "score": score,
                "is_copy": score < 0.8,
            }
        )
        copies.append(rows)
        pairs.append((rows[:12], pixels[:12], images[:12], images[12:24]))
        share = float(rows["is_copy"].mean())
        summary.append(
            {"synthetic": dataset.name, "n": len(rows), "num_copies": int(rows["is_copy"].sum()), "share": share}
            | {"share_low": share / 2, "share_high": share + 0.02, "threshold": 0.8, "authenticity": 0.7}
            | {"membership_auc": 0.6 - place / 10, "auc_low": 0.55 - place / 10, "auc_high": 0.65 - place / 10}
            | {"num_train": real.num_images("train"), "num_held_out": 20}
        )
    columns = ["synthetic", "id", "class", "nearest_train_id", "nearest_held_out_id", "mirrored", "ratio", "score"]
    columns += ["is_copy"]
    table = pd.concat([pd.DataFrame(columns=columns), *copies]) if copies else pd.DataFrame(columns=columns)
    table.to_csv(folder / "copies.csv", index=False)
    held_out = {"id": ids[:20], "class": real.classes[0], "ratio": rng.uniform(0.5, 1.2, 20)}
    pd.DataFrame({**held_out, "score": rng.uniform(0.8, 2.5, 20)}).to_csv(folder / "copies_held_out.csv", index=False)
    names = ["synthetic", "n", "num_copies", "share", "share_low", "share_high", "threshold", "authenticity"]
    names += ["membership_auc", "auc_low", "auc_high", "num_train", "num_held_out"]
    pd.DataFrame(summary, columns=names).to_csv(folder / "copies_summary.csv", index=False)
    if pairs:
        frames, *pixels_of = zip(*pairs, strict=True)
        shown = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
        for name, parts in zip(("image", "train_image", "held_out_image"), pixels_of, strict=True):
            tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.concatenate(parts))
            shown = shown.append_column(name, tensor)
        pq.write_table(shown, folder / "suspicious_pairs.parquet")


def make_study(
    folder: Path,
    *,
    classes: Sequence[str] = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor"),
    num_synthetic: int = 2,
    seeds: Sequence[int] = (0, 1, 2),
    per_class: int = 25,
    channels: int = 1,
    size: int = 16,
    real: Dataset | None = None,
    sets: list[Dataset] | None = None,
) -> Study:
    """Everything that a report can find, made up; `real` and `sets` may be given."""
    rng = np.random.default_rng(0)
    real = real or make_set(folder / "tumours", classes, per_class, rng, real=True, channels=channels, size=size)
    sweep = folder / "sweeps" / "wcgan_gp-20260101-120000-abcd"
    make_sweep(sweep, real, rng)
    origin = {
        "run": str(sweep / "runs" / "trial_00000"),
        "sweep": str(sweep),
        "family": "wcgan_gp",
        "config": {"generator": "transposed", "latent_dim": 64},
        "epoch": 12,
        "run_seed": 0,
        "training_data": str(real.path),
        "training_fingerprint": real.fingerprint,
        "generate_seed": 0,
    }
    if sets is None:
        names = ["gan_small", "gan_large", "vae", "diffusion"][:num_synthetic]
        sets = [
            make_set(folder / n, classes, per_class, rng, real=False, channels=channels, size=size, provenance=origin)
            for n in names
        ]
    num_train = real.num_images("train")
    steps = 40 * num_train // 16
    trainings = [{"trained_on": "real", "kind": "real", "synthetic": None, "num_images": num_train, "steps": steps}]
    if sets:
        double = {"trained_on": f"real, {2 * steps} steps", "kind": "real", "synthetic": None}
        trainings.append({**double, "num_images": num_train, "steps": 2 * steps})
    for dataset in sets:
        for kind, word in (("synthetic", "generated"), ("mixed", "mixed")):
            name = {"trained_on": f"{word}: {dataset.name}", "kind": kind, "synthetic": dataset.name}
            trainings.append({**name, "num_images": 2 * num_train, "steps": steps * (2 if kind == "mixed" else 1)})
    trainings = [
        {**t, "seed": seed, "epochs": 40, "seconds": 31.4, "real_exposures": 40 * num_train}
        for t in trainings
        for seed in seeds
    ]
    evaluation = folder / "evaluations" / "evaluation-20260102-090000-ef01"
    evaluation.mkdir(parents=True)
    make_tables(evaluation, real, sets, trainings, rng)
    items: list[dict[str, Any]] = []
    for place, dataset in enumerate(sets):
        for kind, difference in (("generated", -0.33 + 0.08 * place), ("mixed", 0.018 - 0.02 * place)):
            low, high = difference - 0.022, difference + 0.021
            conclusion = "helps" if low > 0 else "hurts" if high < 0 else "cannot tell"
            name = dataset.name
            subject = f"adding the images of {name}" if kind == "mixed" else f"training on {name} alone"
            items.append(
                {
                    "synthetic": name,
                    "kind": kind,
                    "accuracy": 0.93 + difference,
                    "baseline": "real",
                    "baseline_accuracy": 0.93,
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "p_value": 0.02,
                    "p_corrected": 0.04,
                    "num_comparisons": len(sets),
                    "conclusion": conclusion,
                    "smallest_detectable": 0.031,
                    "num_seeds": len(seeds),
                    "num_test_images": real.num_images("test"),
                    "sentence": f"{subject}: {conclusion}, difference {100 * difference:+.1f} points "
                    f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}; {len(seeds)} seeds)",
                }
            )
    clauses = [str(item["sentence"]) for item in sorted(items, key=lambda item: item["kind"] != "mixed")]
    sentence = "; ".join(clauses or ["no synthetic set was evaluated"]) + "."
    sentence = sentence[0].upper() + sentence[1:]
    content = {
        "format": 2,
        "created": "2026-01-02T09:00:00",
        "real": {
            "path": str(real.path),
            "name": real.name,
            "fingerprint": real.fingerprint,
            "classes": list(real.classes),
            "shape": list(real.shape),
            "counts": real.counts,
            "leakage": {"status": "clean", "detail": "", "num_test": 0, "num_validation": 0},
        },
        "synthetic": [
            {
                "name": s.name,
                "path": str(s.path),
                "fingerprint": s.fingerprint,
                "counts": s.counts,
                "provenance": origin,
            }
            for s in sets
        ],
        "seeds": list(seeds),
        "classifier": {"name": "cnn", "config": {"width": 32, "learning_rate": 0.002}},
        "trainings": trainings,
        "verdict": {"sentence": sentence, "items": items},
        "seconds": {"train": 371.2, "score": 12.8},
        "software": {"raysynth": "0.1.0", "torch": "2.15"},
    }
    (evaluation / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    return Study(folder, evaluation, real.path, [s.path for s in sets], sweep, list(real.classes))


@pytest.fixture(scope="session")
def build_study() -> Callable[..., Study]:
    """`make_study`, for fixtures that several tests share."""
    return make_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Four classes, two synthetic sets from one sweep, three seeds."""
    return make_study(tmp_path)


@pytest.fixture
def new_study(tmp_path: Path) -> Callable[..., Study]:
    """`make_study` in a fresh folder, with options."""
    return partial(make_study, tmp_path)


@pytest.fixture
def with_curves(study: Study) -> Study:
    """`curves.csv`: synthetic images help beside few real ones."""
    rows = []
    for num_real in (5, 10, 25, 50, 100):
        for arm, gain in (("real, not augmented", -0.02), ("real", 0.0), ("real and synthetic", 1 / num_real)):
            row = {"curve": "number of real images", "arm": arm, "num_real": num_real, "real_share": num_real / 100}
            rows.append({**row, "num_synthetic": 100 * (gain > 0), "difference": gain or ""})
    for ratio in (0, 0.25, 1):
        arm = "real and synthetic" if ratio else "real"
        row = {"curve": "ratio", "arm": arm, "num_real": 100, "num_synthetic": 100 * ratio, "ratio": ratio}
        rows.append({**row, "difference": 0.001 if ratio else ""})
    table = pd.DataFrame(rows).assign(num_seeds=2, accuracy_std=0.01)
    table["difference"] = pd.to_numeric(table["difference"])
    table["accuracy"] = 0.7 + 0.0005 * table["num_real"] + table["difference"].fillna(0)
    table["accuracy_low"], table["accuracy_high"] = table["accuracy"] - 0.03, table["accuracy"] + 0.03
    table["low"], table["high"] = table["difference"] - 0.03, table["difference"] + 0.03
    table["p_value"] = table["p_corrected"] = (table["low"] < 0) * 0.4 + 0.01
    table.to_csv(study.evaluation / "curves.csv", index=False)
    return study
