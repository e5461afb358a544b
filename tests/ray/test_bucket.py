"""Data sets in a bucket, read by Ray's processes: all that they are told is a URI."""

from pathlib import Path

import pytest

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import locate, upload_folder
from raysynth.evaluation.evaluate import evaluate

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_an_evaluation_reads_what_the_uri_says(bucket: str, s3_endpoint: str, stripes: Dataset, tmp_path: Path):
    upload_folder(Path(str(stripes.path)), locate(bucket) / "stripes", last="dataset.json")
    # Ray's processes may have been started before the environment said where S3 is.
    options = f"endpoint_override={s3_endpoint}&scheme=http&anonymous=true"
    stored = load_dataset(f"{bucket}/stripes?{options}")
    from_bucket, from_disk = (
        evaluate(data, [data.path], seeds=1, epochs=1, allow_leakage=True, out=tmp_path, workers=workers)
        for data, workers in ((stored, 2), (stripes, 0))
    )
    for table in ("ks.csv", "histograms.csv"):
        assert (from_bucket / table).read_text() == (from_disk / table).read_text()
