"""Copies of train images among generated ones: found chunk by chunk, counted, and the most suspicious shown.

`copies.csv` has a row an image, `copies_held_out.csv` the same of the real held-out images (what false alarms look
like), `copies_summary.csv` a row a set, `suspicious_pairs.parquet` the pixels of each set's lowest scores.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.audit.batches import run_here, run_with_ray
from raysynth.data.dataset import Dataset, tensor_column
from raysynth.evaluation.chunks import Chunk, list_chunks, read_chunk
from raysynth.evaluation.copy_neighbours import Found
from raysynth.evaluation.copy_reference import FALSE_ALARMS, CopyReference, build_reference
from raysynth.evaluation.copy_views import NUM_DECIDING, VIEWS
from raysynth.evaluation.inputs import SyntheticSet
from raysynth.evaluation.membership import membership_auc
from raysynth.files import replacing, write_text
from raysynth.intervals import wilson_interval

NUM_PAIRS = 12  # of each set that are shown
SUMMARY_COLUMNS = (
    "synthetic", "n", "num_copies", "share", "share_low", "share_high", "threshold", "authenticity",
    "membership_auc", "auc_low", "auc_high", "num_train", "num_held_out", "leakage",
)  # fmt: skip
COLUMNS = (
    "synthetic", "id", "class", "source_path", "nearest_train_id", "mirrored", "view", "distance",
    "nearest_held_out_id", "held_out_distance", "ratio", "score", "is_copy", "authentic",
    "pixel_nearest_train_id", "pixel_distance", "leakage",
)  # fmt: skip
_DIGITS = 5  # of distances: beyond, they depend on the library that multiplies matrices


def compare_copies(
    folder: Path,
    real: Dataset,
    synthetic: Sequence[SyntheticSet],
    leakage: Mapping[str, str],
    *,
    with_ray: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write the four files into an evaluation's folder, and return how copies were looked for.

    `share` is that of images called copies, with its Wilson interval; of images that are none about 1 % are, see
    `copy_reference`. `authenticity` is the share of images that are farther from their nearest train image than this is
    from its own nearest one of another group (Alaa et al. 2022, section 3.3); 1 minus it is the share of those nearer.
    `membership_auc` is told in `membership`. All are empty tables where there are too few validation images.
    """
    reference = build_reference(real)
    if reference is None:
        say("no test for copies: the real data set has too few validation images")
        _write_tables(folder, pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
        return {"split": "validation", "num_held_out": 0}
    tables = find_copies(reference, real, synthetic, with_ray=with_ray)
    rows, summaries = [], []
    for item, (table, nearest_generated) in zip(synthetic, tables, strict=True):
        rows.append(table.assign(synthetic=item.name, leakage=leakage[item.name]))
        summaries.append(_summarise(rows[-1], nearest_generated, reference))
        say(describe_copies(summaries[-1]))
    copies = pd.concat(rows, ignore_index=True)
    held_out = _held_out_table(reference, real).assign(synthetic="", leakage=real.leakage.status)
    _write_tables(folder, copies, held_out, pd.DataFrame(summaries))
    _write_pairs(folder / "suspicious_pairs.parquet", copies, real, {item.name: item.dataset for item in synthetic})
    return {
        "split": "validation",
        "false_alarms": FALSE_ALARMS,
        "views": list(VIEWS[-NUM_DECIDING:]),
        "scales": [round(float(scale), _DIGITS) for scale in reference.real.scales[-NUM_DECIDING:]],
        "threshold": round(reference.threshold, _DIGITS),
        "num_train": len(reference.real.train.ids),
        "num_held_out": int(reference.calibrating.sum()),
    }


def find_copies(
    reference: CopyReference, real: Dataset, synthetic: Sequence[SyntheticSet], *, with_ray: bool
) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """For each set a row an image, and each real image's distance (train + held-out images,) to its nearest generated.

    With Ray, chunks of the Parquet shards are looked at in parallel, and only rows and distances travel; a Ray session
    must be running. Beside the rows, memory does not grow with the number of images either way.
    """
    chunks = list_chunks([item.dataset for item in synthetic])
    shared = {"reference": reference, "classes": [item.dataset.classes for item in synthetic]}
    num_real = len(reference.real.train.ids) + len(reference.real.held_out.ids)
    tables: list[list[pd.DataFrame]] = [[] for _ in synthetic]
    nearest = [np.full(num_real, np.inf) for _ in synthetic]
    run = run_with_ray if with_ray else run_here
    for chunk, (table, distances) in zip(chunks, run(_find_in_chunk, chunks, shared), strict=True):
        tables[chunk["set"]].append(table)
        nearest[chunk["set"]] = np.minimum(nearest[chunk["set"]], distances)
    return [(pd.concat(parts, ignore_index=True), distances) for parts, distances in zip(tables, nearest, strict=True)]


def _find_in_chunk(chunk: Chunk, shared: dict[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of a chunk's train images, and the distances of the real images to the nearest of them."""
    reference: CopyReference = shared["reference"]
    table = read_chunk(chunk, ("id", "image", "label", "split", "source_path"))
    chosen = np.flatnonzero(table["split"].to_numpy() == "train")
    if not len(chosen):
        num_real = len(reference.real.train.ids) + len(reference.real.held_out.ids)
        return pd.DataFrame(), np.full(num_real, np.inf)
    table = table.take(chosen)
    found = reference.find(tensor_column(table, "image"))
    names = np.array(shared["classes"][chunk["set"]], dtype=object)[table["label"].to_numpy()]
    rows = pd.DataFrame(
        {"id": table["id"].to_pylist(), "class": names, "source_path": table["source_path"].to_pylist()}
    )
    return pd.concat([rows, _describe(reference, found)], axis=1), found.real_distances


def _describe(reference: CopyReference, found: Found) -> pd.DataFrame:
    """What was found as columns, real images by their ids."""
    held_out_ids = np.append(reference.real.held_out.ids.astype(object), "")  # place -1: none
    return pd.DataFrame(
        {
            "nearest_train_id": reference.real.train.ids[found.nearest],
            "mirrored": found.mirrored,
            "view": np.array(VIEWS)[found.view],
            "distance": found.distance.round(_DIGITS),
            "nearest_held_out_id": held_out_ids[found.nearest_held_out],
            "held_out_distance": found.held_out_distance.round(_DIGITS),
            "ratio": found.ratio.round(_DIGITS),
            "score": found.score.round(_DIGITS),
            "is_copy": reference.is_copy(found),
            "authentic": found.authentic,
            "pixel_nearest_train_id": reference.real.train.ids[found.pixel_nearest],
            "pixel_distance": found.pixel_distance.round(_DIGITS),
        }
    )


def _held_out_table(reference: CopyReference, real: Dataset) -> pd.DataFrame:
    """The rows of the held-out images that the threshold rests on; a held-out neighbour is of another group."""
    table = real.read(["id", "label", "source_path"], "validation")
    names = np.array(real.classes, dtype=object)[table["label"].to_numpy()]
    rows = pd.DataFrame(
        {"id": table["id"].to_pylist(), "class": names, "source_path": table["source_path"].to_pylist()}
    )
    rows = pd.concat([rows, _describe(reference, reference.held_out_found)], axis=1)
    return rows[reference.calibrating]


def _summarise(table: pd.DataFrame, nearest_generated: np.ndarray, reference: CopyReference) -> dict[str, Any]:
    """The row of a set in `copies_summary.csv`."""
    num_copies, n = int(table["is_copy"].sum()), len(table)
    low, high = wilson_interval(num_copies / n, n)
    train, held_out = reference.real.train, reference.real.held_out
    # Held-out images with copies in train would hide what a model has learnt of these.
    of_train, of_held_out = np.split(nearest_generated, [len(train.ids)])
    of_held_out = of_held_out[reference.calibrating]
    member = membership_auc(of_train, of_held_out, train.groups, held_out.groups[reference.calibrating])
    return {
        "synthetic": table["synthetic"].iloc[0],
        "n": n,
        "num_copies": num_copies,
        "share": num_copies / n,
        "share_low": low,
        "share_high": high,
        "threshold": round(reference.threshold, _DIGITS),
        "authenticity": float(table["authentic"].mean()),
        "membership_auc": member.auc,
        "auc_low": member.low,
        "auc_high": member.high,
        "num_train": len(train.ids),
        "num_held_out": int(reference.calibrating.sum()),
        "leakage": table["leakage"].iloc[0],
    }


def describe_copies(row: Mapping[Any, Any]) -> str:
    """One line about a set, from its row in `copies_summary.csv`."""
    return (
        f"{row['synthetic']}: {row['num_copies']} of {row['n']} images called copies "
        f"({row['share']:.1%}, {row['share_low']:.1%} to {row['share_high']:.1%}; of others {FALSE_ALARMS:.0%} are)"
        f"  authenticity {row['authenticity']:.2f}"
        f"  membership AUC {row['membership_auc']:.3f} ({row['auc_low']:.3f} to {row['auc_high']:.3f})"
    )


def _write_pairs(path: Path, copies: pd.DataFrame, real: Dataset, synthetic: Mapping[str, Dataset]) -> None:
    """The lowest scores of each set with the uint8 images of all three: generated, nearest train, nearest held-out."""
    suspicious = copies[np.isfinite(copies["score"])].sort_values("score", kind="stable")
    rows = suspicious.groupby("synthetic", sort=False).head(NUM_PAIRS)
    order = list(synthetic)
    rows = rows.sort_values("synthetic", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)
    pixels = {name: np.zeros((len(rows), *real.shape), np.uint8) for name in ("image", "train_image", "held_out_image")}
    for name, dataset in synthetic.items():
        of_set = np.flatnonzero(rows["synthetic"] == name)
        pixels["image"][of_set] = _images_of(dataset, rows["id"].to_numpy()[of_set])
    pixels["train_image"][:] = _images_of(real, rows["nearest_train_id"].to_numpy())
    known = np.flatnonzero(rows["nearest_held_out_id"] != "")
    pixels["held_out_image"][known] = _images_of(real, rows["nearest_held_out_id"].to_numpy()[known])
    table = pa.Table.from_pandas(rows[list(COLUMNS)], preserve_index=False)
    for name, images in pixels.items():
        if len(rows):
            table = table.append_column(name, pa.FixedShapeTensorArray.from_numpy_ndarray(images))
    stream = io.BytesIO()
    pq.write_table(table, stream)
    with replacing(path) as file:
        file.write(stream.getvalue())


def _images_of(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) uint8 by their ids, a repeated one as often as it is named; no other image is read."""
    places = {id_: row for row, id_ in enumerate(dataset.read(["id"])["id"].to_pylist())}
    rows, back = np.unique([places[id_] for id_ in ids], return_inverse=True)
    return tensor_column(dataset.take(["image"], rows.astype(np.int64)), "image")[back]


def _write_tables(folder: Path, copies: pd.DataFrame, held_out: pd.DataFrame, summary: pd.DataFrame) -> None:
    for name, table, columns in (
        ("copies", copies, COLUMNS),
        ("copies_held_out", held_out, COLUMNS),
        ("copies_summary", summary, SUMMARY_COLUMNS),
    ):
        write_text(folder / f"{name}.csv", table.reindex(columns=list(columns)).to_csv(index=False))
