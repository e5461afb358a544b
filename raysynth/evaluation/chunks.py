"""Rows of Parquet shards as units of work: a task is told a file and a range, and reads the images itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.dataset import Dataset

ROWS_PER_CHUNK = 512  # a small data set is one shard: cut finer, so that every core has its part

Chunk = dict[str, Any]


def list_chunks(datasets: Sequence[Dataset]) -> list[Chunk]:
    """Plain dicts {set: index in `datasets`, file, start, num_rows} that cover all rows of all the sets."""
    return [
        {"set": index, "file": str(file.resolve()), "start": start, "num_rows": min(ROWS_PER_CHUNK, num_rows - start)}
        for index, dataset in enumerate(datasets)
        for file in sorted(dataset.images_folder.glob("*.parquet"))
        for num_rows in [pq.read_metadata(file).num_rows]
        for start in range(0, num_rows, ROWS_PER_CHUNK)
    ]


def read_chunk(chunk: Chunk, columns: Sequence[str]) -> pa.Table:
    """The named columns of one chunk's rows."""
    return pq.read_table(chunk["file"], columns=list(columns)).slice(chunk["start"], chunk["num_rows"])
