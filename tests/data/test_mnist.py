from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.mirror import Mirror

from pellucid.data import load
from pellucid.data import mnist as module
from pellucid.errors import DataError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def small(name: str, rows: int = 5) -> bytes:
    """A file of the same form with few examples."""
    shape = (rows, 28, 28) if "images" in name else (rows,)
    data = np.arange(np.prod(shape)) % (255 if len(shape) == 3 else 10)
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data.astype(np.uint8).tobytes()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small files in place of the published ones: their checksums are pinned, their gzip files returned."""
    files = tuple(
        module._File(name, 3 if "images" in name else 1, hashlib.sha256(small(name)).hexdigest()) for name in NAMES
    )
    monkeypatch.setattr(module, "_FILES", files)
    return {f"{name}.gz": gzip.compress(small(name)) for name in NAMES}


def test_the_real_files_have_the_known_sizes_mean_and_deviation(
    mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_DATA", str(mnist_folder.parent))
    mnist = load("mnist")
    assert mnist.x_train.shape == (60_000, 28, 28, 1)
    assert mnist.x_test.shape == (10_000, 28, 28, 1)
    assert mnist.x_train.dtype == np.float32
    assert mnist.y_train.dtype == np.int32
    assert mnist.x_train.min() == 0
    assert mnist.x_train.max() == 1
    assert round(float(mnist.x_train.mean(dtype=np.float64)), 5) == 0.13066
    assert round(float(mnist.x_train.std(dtype=np.float64)), 5) == 0.30811
    assert mnist.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.flat().input_shape == (784,)
    assert len(mnist.feature_names) == 784
    assert mnist.source == f"the user's files in {mnist_folder}"


def test_the_real_files_are_downloaded_checked_and_kept(
    mnist_folder: Path, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path
) -> None:
    mirror = serve({f"{name}.gz": (mnist_folder / f"{name}.gz").read_bytes() for name in NAMES})
    assert load("mnist", mirrors=mirror.address).y_test[:3].tolist() == [7, 2, 1]
    assert len(load("mnist", mirrors=mirror.address).y_train) == 60_000
    assert mirror.requests == [f"{name}.gz" for name in NAMES]
    assert sorted(path.name for path in (own_settings / "mnist").iterdir()) == sorted(mirror.requests)


def test_the_two_known_mirrors_are_asked_in_order_by_default() -> None:
    assert module.MIRRORS[0].startswith("https://ossci-datasets.s3.amazonaws.com/")
    assert module.MIRRORS[1].startswith("https://storage.googleapis.com/cvdf-datasets/")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-idx", ".idx"])
@pytest.mark.parametrize("place", ["", "mnist"])
def test_own_files_are_found_in_each_spelling(own: Path, suffix: str, mark: str, place: str) -> None:
    (own / place).mkdir(exist_ok=True)
    for name in NAMES:
        content = gzip.compress(small(name)) if suffix else small(name)
        (own / place / (name.replace("-idx", mark) + suffix)).write_bytes(content)
    mnist = load("mnist")
    assert mnist.input_shape == (28, 28, 1)
    assert mnist.y_test.tolist() == [0, 1, 2, 3, 4]
    assert mnist.source.endswith("; they differ from the published MNIST files")


def test_missing_own_files_are_listed(own: Path) -> None:
    (own / NAMES[0]).write_bytes(small(NAMES[0]))
    (own / f"{NAMES[3]}.gz").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load("mnist")
    assert str(caught.value) == (
        f"PELLUCID_DATA is set to {own}, but neither that folder nor its subfolder 'mnist' has all four MNIST files; "
        "missing: train-labels-idx1-ubyte, t10k-images-idx3-ubyte.\n"
        "Hint: put them there (with or without .gz), or remove the others: then all are downloaded"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (NAMES[1], small(NAMES[1], 4), "/train-images-idx3-ubyte has 5 images, but {} has 4 labels."),
        (NAMES[1], small(NAMES[1])[:-1] + b"\x0a", "{}: the labels must be 0 to 9, found up to 10."),
        (NAMES[2], small(NAMES[2])[:-1], "{} is cut short: the shape [5, 28, 28] in its header needs 3,936 bytes"),
        (NAMES[2], small(NAMES[1]), "{}: the array must have 3 axes, not 1."),
        (NAMES[3], b"\x1f\x8bjunk", "{}: the gzip file is damaged ("),
    ],
)
def test_own_files_that_do_not_fit_are_named(own: Path, name: str, content: bytes, message: str) -> None:
    for each in NAMES:
        (own / each).write_bytes(content if each == name else small(each))
    with pytest.raises(DataError) as caught:
        load("mnist")
    assert message.format(own / name) in str(caught.value)


def test_images_of_another_size_are_refused(own: Path) -> None:
    for name in NAMES:
        (own / name).write_bytes(small(name).replace(struct.pack(">II", 28, 28), struct.pack(">II", 14, 56)))
    with pytest.raises(DataError, match=r"the images must have the shape \[28, 28\], not \[14, 56\]\."):
        load("mnist")


def test_a_folder_without_any_of_the_files_leads_to_the_download(
    own: Path, serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes]
) -> None:
    (own / "sms_spam").mkdir()  # set for another data set
    assert len(load("mnist", mirrors=serve(published).address).y_train) == 5


def test_a_mirror_that_lacks_a_file_is_followed_by_the_next(
    serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes]
) -> None:
    poor = serve({name: content for name, content in published.items() if "labels" in name})
    rich = serve(published)
    assert len(load("mnist", mirrors=[poor.address, rich.address]).y_train) == 5
    assert rich.requests == [f"{name}.gz" for name in NAMES if "images" in name]


@pytest.mark.parametrize("wrap", [lambda content: gzip.compress(content, 1, mtime=7), bytes])
def test_another_wrapping_of_the_same_content_is_accepted(
    serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes], wrap: Callable[[bytes], bytes]
) -> None:
    mirror = serve({f"{name}.gz": wrap(small(name)) for name in NAMES})
    for _ in range(2):
        assert len(load("mnist", mirrors=mirror.address).y_train) == 5
    assert len(mirror.requests) == 4


def test_a_download_of_other_content_is_refused_and_not_kept(
    serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes], own_settings: Path
) -> None:
    wrong = small(NAMES[0])[:-1] + b"!"
    mirror = serve(published | {f"{NAMES[0]}.gz": gzip.compress(wrong)})
    with pytest.raises(DataError) as caught:
        load("mnist", mirrors=mirror.address)
    found, expected = (hashlib.sha256(content).hexdigest()[:16] for content in (wrong, small(NAMES[0])))
    assert str(caught.value) == (
        "MNIST could not be downloaded: every attempt to get train-images-idx3-ubyte.gz failed.\n"
        f"  {mirror.address}train-images-idx3-ubyte.gz: the checksum is wrong: SHA-256 {found}..., "
        f"expected {expected}...\n"
        "Hint: put the four MNIST files into a folder and set PELLUCID_DATA to it"
    )
    assert list((own_settings / "mnist").iterdir()) == []


def test_a_download_that_breaks_off_is_refused_and_not_kept(
    serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes], own_settings: Path
) -> None:
    mirror = serve(published)
    mirror.cut = 10
    with pytest.raises(DataError, match=r"every attempt to get train-images-idx3-ubyte\.gz failed"):
        load("mnist", mirrors=mirror.address)
    assert list((own_settings / "mnist").iterdir()) == []


def test_without_network_the_error_says_what_to_do(closed_port: int) -> None:
    with pytest.raises(DataError) as caught:
        load("mnist", mirrors=f"http://127.0.0.1:{closed_port}/")
    assert caught.value.hint == "put the four MNIST files into a folder and set PELLUCID_DATA to it"
    assert f"http://127.0.0.1:{closed_port}/train-images-idx3-ubyte.gz: " in caught.value.details[0]


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: gzip.compress(b"other")])
def test_a_damaged_file_in_the_cache_is_downloaded_again(
    serve: Callable[[dict[str, bytes]], Mirror],
    published: dict[str, bytes],
    own_settings: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    mirror = serve(published)
    load("mnist", mirrors=mirror.address)
    kept = own_settings / "mnist" / f"{NAMES[2]}.gz"
    kept.write_bytes(damage(kept.read_bytes()))
    assert len(load("mnist", mirrors=mirror.address).y_test) == 5
    assert mirror.requests[4:] == [f"{NAMES[2]}.gz"]
    assert kept.read_bytes() == published[kept.name]


def test_a_cache_folder_that_cannot_be_made_is_reported(
    serve: Callable[[dict[str, bytes]], Mirror], published: dict[str, bytes], own_settings: Path
) -> None:
    own_settings.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="MNIST could not be downloaded"):
        load("mnist", mirrors=serve(published).address)
