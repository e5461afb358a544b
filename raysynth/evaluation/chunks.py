"""Row groups of Parquet shards as units of work: a task is told a file and a number, and reads the images itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.buckets import explaining
from raysynth.data.dataset import Dataset
from raysynth.data.locations import arrow_path, locate

Chunk = dict[str, Any]


def list_chunks(datasets: Sequence[Dataset]) -> list[Chunk]:
    """Plain dicts {set: index in `datasets`, file, row_group} that cover all rows of all the sets."""
    return [
        {"set": index, "file": str(file.resolve()), "row_group": row_group}
        for index, dataset in enumerate(datasets)
        for file in dataset.shards()
        for row_group in range(_open(str(file)).num_row_groups)
    ]


def read_chunk(chunk: Chunk, columns: Sequence[str]) -> pa.Table:
    """The named columns of one chunk's rows."""
    with explaining(locate(chunk["file"])):
        return _open(chunk["file"]).read_row_group(chunk["row_group"], columns=list(columns))


def _open(file: str) -> pq.ParquetFile:
    path, system = arrow_path(locate(file))
    with explaining(locate(file)):
        return pq.ParquetFile(path, filesystem=system, pre_buffer=system is not None)  # few requests to a bucket
