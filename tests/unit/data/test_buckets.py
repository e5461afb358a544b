"""Places in buckets: their files, and what a user is told when a bucket cannot be used."""

import pickle
import socket
import threading
import time
import zipfile
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysynth.data import buckets
from raysynth.data.buckets import BucketError, BucketPath, upload_folder
from raysynth.data.locations import locate


@given(st.lists(st.text("ab .%?#&=é", min_size=1), max_size=4), st.sampled_from(["", "region=eu-west-1"]))
def test_a_place_is_the_same_as_text_and_in_another_process(parts, options):
    place = BucketPath("s3", "brain", options=options)
    for part in parts:
        assert (place / part).parent == place
        place = place / part
        assert place.name == part
    assert locate(str(place)) == place
    assert pickle.loads(pickle.dumps(place)) == place
    assert place.resolve() == place


def test_files_are_written_listed_and_read(bucket):
    place = locate(bucket) / "mri"
    assert place.is_empty()
    assert list(place.iterdir()) == list(place.files()) == []
    (place / "a b" / "é?%20.txt").write_text("grün")
    (place / "z.bin").write_bytes(b"123456")
    assert list(place.files()) == [("a b/é?%20.txt", 5), ("z.bin", 6)]
    assert list(place.iterdir()) == [place / "a b", place / "z.bin"]
    assert [item.is_dir() for item in place.iterdir()] == [True, False]
    assert [item.is_file() for item in place.iterdir()] == [False, True]
    assert not place.is_empty()
    assert not (place / "z.bin").is_empty()
    assert not (place / "nothing").exists()
    assert (place / "a b/é?%20.txt").read_text() == "grün"
    with (place / "z.bin").open() as file:
        assert file.seek(-2, 2) == 4
        assert file.read() == b"56"
        file.seek(1)
        assert file.read(2) == b"23"
    for read in (BucketPath.read_bytes, BucketPath.open):
        with pytest.raises(FileNotFoundError):
            read(place / "nothing")


def test_a_zip_is_read_in_place(bucket, tmp_path):
    contents = {f"{number}.bin": bytes([number]) * 70_000 for number in range(20)}
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    (locate(bucket) / "images.zip").upload(tmp_path / "images.zip")
    with (locate(bucket) / "images.zip").open() as file, zipfile.ZipFile(file) as archive:
        assert {name: archive.read(name) for name in reversed(archive.namelist())} == contents


def test_a_folder_is_copied_with_its_last_file_last(bucket, tmp_path, monkeypatch):
    uploaded = []
    upload = BucketPath.upload
    monkeypatch.setattr(BucketPath, "upload", lambda to, file: (upload(to, file), uploaded.append(to.name)))
    make_folder(tmp_path)
    to = locate(bucket) / "set"
    upload_folder(tmp_path, to, last="b.json")
    assert sorted(uploaded) == ["a.txt", "b.json", "c.txt"]
    assert uploaded[-1] == "b.json"
    assert list(to.files()) == [("a.txt", 1), ("b.json", 1), ("images/c.txt", 1)]
    with pytest.raises(BucketError, match="exists and is not empty"):
        upload_folder(tmp_path, to, last="b.json")


def test_a_copy_that_fails_leaves_nothing(bucket, tmp_path, monkeypatch):
    def upload_or_fail(to: BucketPath, file: Path) -> None:
        if to.name == "b.json":
            raise BucketError("no space")
        upload(to, file)

    upload = BucketPath.upload
    monkeypatch.setattr(BucketPath, "upload", upload_or_fail)
    make_folder(tmp_path)
    to = locate(bucket) / "set"
    with pytest.raises(BucketError, match="no space"):
        upload_folder(tmp_path, to, last="b.json")
    assert to.is_empty()


def make_folder(folder: Path) -> None:
    (folder / "images").mkdir()
    for name in ("a.txt", "b.json", "images/c.txt"):
        (folder / name).write_text("x")


@pytest.mark.parametrize(
    "use",
    [
        BucketPath.is_file,
        BucketPath.is_empty,
        BucketPath.read_bytes,
        BucketPath.open,
        lambda place: list(place.files()),
        lambda place: place.write_text("x"),
    ],
)
def test_a_missing_bucket_is_told_from_a_missing_file(s3_endpoint, use):
    with pytest.raises(BucketError, match=r"^s3://tests-nothing/mri: no such bucket; [^\n]*$"):
        use(locate("s3://tests-nothing/mri"))


@pytest.fixture
def short_timeout(monkeypatch):
    monkeypatch.setattr(buckets, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(buckets, "MAX_ATTEMPTS", 2)


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "no permission, or no credentials; set AWS_PROFILE"), (301, "in another region")]
)
def test_what_a_server_refuses_is_explained_in_a_line(status, reason, s3_endpoint):
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        do_GET = do_PUT = do_POST = do_HEAD

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = locate(f"s3://brain/mri?endpoint_override=127.0.0.1:{server.server_port}&scheme=http")
    for use in (BucketPath.is_file, BucketPath.is_empty, BucketPath.read_bytes, lambda place: place.write_text("x")):
        with pytest.raises(BucketError) as refused:
            use(place)
        assert str(refused.value).startswith(f"{place}: ")
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("listens", [True, False])
def test_a_server_that_does_not_answer_is_given_up(listens, s3_endpoint, short_timeout):
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(16)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(BucketError, match="the server cannot be reached"):
            locate(f"s3://brain/mri?endpoint_override={address}&scheme=http").is_file()
        assert time.monotonic() - started < 20


def test_an_unknown_option_is_named(s3_endpoint):
    with pytest.raises(BucketError, match="option 'color' is none of endpoint_override, scheme"):
        locate("s3://brain/mri?scheme=http&color=red").is_file()
