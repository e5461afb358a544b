"""Data sets in a bucket, read by Ray's processes: all that they are told is a URI."""

from pathlib import Path

import pytest

from raysynth.data.buckets import upload_folder
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import locate
from raysynth.evaluation.classifiers import train_all, training_job
from raysynth.evaluation.likeness import compare_pixels
from raysynth.evaluation.plan import plan_trainings

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_tasks_and_streams_read_what_the_uri_says(bucket: str, s3_endpoint: str, stripes: Dataset, tmp_path: Path):
    upload_folder(Path(str(stripes.path)), locate(bucket) / "stripes", last="dataset.json")
    # Ray's processes may have been started before the environment said where S3 is.
    options = f"endpoint_override={s3_endpoint}&scheme=http&anonymous=true"
    stored = load_dataset(f"{bucket}/stripes?{options}")
    for name, dataset, with_ray in (("bucket", stored, True), ("disk", stripes, False)):
        (tmp_path / name).mkdir()
        compare_pixels(tmp_path / name, dataset, [], {"real": "clean"}, with_ray=with_ray, say=lambda line: None)
    for table in ("ks.csv", "histograms.csv"):
        assert (tmp_path / "bucket" / table).read_text() == (tmp_path / "disk" / table).read_text()

    (training,) = plan_trainings(stripes.num_images("train"), {}, seeds=[0], epochs=1, batch_size=8)
    for dataset, with_ray in ((stored, True), (stripes, False)):
        job = training_job(
            training, real=dataset, synthetic=None, classifier="cnn", options={}, folder=tmp_path / f"{with_ray}"
        )
        (result,) = train_all([training], [job], with_ray=with_ray, say=lambda line: None)
        assert result["validation_accuracy"] is not None
        assert not result["known"]
