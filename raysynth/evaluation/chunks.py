"""Row groups of Parquet shards as units of work: a task is told a file and a number, and reads the images itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.dataset import Dataset

Chunk = dict[str, Any]


def list_chunks(datasets: Sequence[Dataset]) -> list[Chunk]:
    """Plain dicts {set: index in `datasets`, file, row_group} that cover all rows of all the sets."""
    return [
        {"set": index, "file": str(file.resolve()), "row_group": row_group}
        for index, dataset in enumerate(datasets)
        for file in sorted(dataset.images_folder.glob("*.parquet"))
        for row_group in range(pq.read_metadata(file).num_row_groups)
    ]


def read_chunk(chunk: Chunk, columns: Sequence[str]) -> pa.Table:
    """The named columns of one chunk's rows."""
    return pq.ParquetFile(chunk["file"]).read_row_group(chunk["row_group"], columns=list(columns))
