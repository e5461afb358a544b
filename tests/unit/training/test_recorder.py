"""What TensorBoard finds in a run: a scalar for each metric and epoch, and the row of its HParams tab."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


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
    for name in ("d_loss", "g_loss", "wasserstein", "penalty", "frechet", "images_per_s"):
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
