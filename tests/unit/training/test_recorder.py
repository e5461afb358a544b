"""What stands in a run: for TensorBoard a scalar for each metric and epoch, and the HParams tab; what went wrong."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from raysynth.models.context import Context
from raysynth.training.recorder import RunRecorder
from raysynth.training.run_folder import RunFolder
from raysynth.training.worker import build_family


def events(run: Path) -> Iterator[Event]:
    """The records of the run's one event file: length, checksum, bytes, checksum."""
    (file,) = run.glob("events.*")
    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def test_every_metric_of_every_epoch_is_logged(tiny_run):
    logged = {(value.tag, event.step) for event in events(tiny_run) for value in event.summary.value}
    for name in ("d_loss", "g_loss", "wasserstein", "penalty", "frechet", "diversity", "images_per_s"):
        assert {(name, 1), (name, 2)} <= logged


def test_the_hparams_tab_has_the_config(tiny_run):
    plugins = {
        value.metadata.plugin_data.plugin_name: value.metadata.plugin_data.content
        for event in events(tiny_run)
        for value in event.summary.value
        if value.tag.startswith("_hparams_")
    }
    assert "hparams" in plugins
    texts = [
        value.metadata.plugin_data.content
        for event in events(tiny_run)
        for value in event.summary.value
        if value.tag == "_hparams_/session_start_info"
    ]
    assert len(texts) == 1
    for word in (b"latent_dim", b"generator", b"transposed"):
        assert word in texts[0]


def test_the_status_says_what_goes_wrong_while_it_does(tiny_run, tmp_path):
    shutil.copy(tiny_run / "config.yaml", tmp_path / "config.yaml")
    run = RunFolder(tmp_path)
    family = build_family(run.settings(), Context())
    recorder = RunRecorder(run, family, num_epochs=9)
    history: list[dict[str, float]] = []
    messages = []
    for epoch, diversity in enumerate([0.9] * 6 + [0.1, 0.1, 0.9], 1):
        history.append({"epoch": float(epoch), "diversity": diversity, "diversity_class": 1.0})
        recorder.record(family, history)
        messages.append(run.status()["message"])
    recorder.close()
    assert messages[:7] == [""] * 7
    assert messages[7].startswith("collapse: images of class right differ by only 10 %")
    assert run.status() == {"state": "finished", "epoch": 9, "message": ""}
    (finding,) = run.findings()
    assert (finding.kind, finding.first_epoch, finding.last_epoch) == ("collapse", 8, 8)
