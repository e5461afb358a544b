"""Which test images a classifier got right, image by image: what paired comparisons rest on."""

from __future__ import annotations

import numpy as np
import pandas as pd


def correctness(test: pd.DataFrame, trained_on: str) -> tuple[np.ndarray, np.ndarray]:
    """Right (1.0) or wrong (0.0), (N test images, S seeds), and the images' groups (N,)."""
    rows = test[test["trained_on"] == trained_on]
    rows = rows.assign(right=(rows["label"] == rows["predicted"]).astype(float))
    table = rows.pivot(index="image_id", columns="seed", values="right").sort_index()
    groups = rows.drop_duplicates("image_id").set_index("image_id")["group"].loc[table.index]
    return table.to_numpy(), groups.astype(str).to_numpy()
