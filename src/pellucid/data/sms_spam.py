"""The SMS Spam Collection: text messages, wanted (ham) or not (spam).

Source: Almeida, Gómez Hidalgo, Yamakami, "Contributions to the study of SMS spam filtering: new collection and
results", 2011; UCI Machine Learning Repository, doi 10.24432/C5CC84.
"""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pellucid import config
from pellucid.data.dataset import Dataset
from pellucid.data.fetch import fetch
from pellucid.data.split import split_indices
from pellucid.data.text import BagOfWords, Weighting
from pellucid.errors import DataError
from pellucid.fields import boolean, require

ADDRESSES = (
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00228/smsspamcollection.zip",
)

#: The classes in the order of their numbers.
CLASSES = ("ham", "spam")

_MEMBER = "SMSSpamCollection"
#: Of the unpacked file, 477,907 bytes; the archives around it differ.
_SHA256 = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"
_MOST_BYTES = 10_000_000
_HINT = "put the file SMSSpamCollection into a folder sms_spam and set PELLUCID_DATA to the folder above it"


def sms_spam(
    *,
    weighting: Weighting = "counts",
    most_words: int = 2000,
    repeats: bool = True,
    test_fraction: float = 0.2,
    seed: int = 0,
    addresses: str | Sequence[str] = ADDRESSES,
) -> Dataset:
    """Load 5,574 text messages as bags of words: ham (0, 4,827 messages) or spam (1, 747 messages).

    The vocabulary is measured on the training messages alone; ``encoder`` turns further messages into rows alike. The
    collection repeats 403 of its messages, some on both sides of any split: ``repeats=False`` leaves the copies out.

    Args:
        weighting: ``"counts"``, ``"binary"`` or ``"tfidf"``, see :class:`BagOfWords`.
        most_words: Size of the vocabulary: the most frequent words of the training messages.
        repeats: Whether messages that occur several times are kept several times.
        test_fraction: Share of the messages that is held out, stratified by class.
        seed: Seed of the split.
        addresses: Where the archive is downloaded, one address or several that are tried in order.

    Returns:
        x float32 [N, words]; y int32, 0 (ham) or 1 (spam).

    Raises:
        DataError: The file is missing or damaged, or cannot be downloaded.
        ConfigurationError: An argument is outside its range.

    Source: Almeida, Gómez Hidalgo, Yamakami, "Contributions to the study of SMS spam filtering", 2011.

    >>> sms_spam(weighting="tfidf")                                                           # doctest: +SKIP
    Dataset('sms_spam': classification into 2 classes, 4,459 training and 1,115 test examples of shape [2000])
    """
    require("sms_spam", "repeats", repeats, boolean)
    texts, y, source = _messages(addresses)
    if not repeats:
        first = np.sort(np.unique(np.array(texts), return_index=True)[1])
        texts, y = tuple(texts[row] for row in first), y[first]
    train, test = split_indices(y, test_fraction, seed, stratified=True)
    bag = BagOfWords.of([texts[row] for row in train], weighting, most_words=most_words)
    return Dataset(
        name="sms_spam",
        task="classification",
        train=(bag.encode([texts[row] for row in train]), y[train]),
        test=(bag.encode([texts[row] for row in test]), y[test]),
        feature_names=bag.vocabulary,
        target_names=CLASSES,
        description="Text messages in English, as bags of words: ham (wanted) or spam.",
        source=source,
        licence="CC BY 4.0",
        encoder=bag,
    )


def sms_messages(*, addresses: str | Sequence[str] = ADDRESSES) -> tuple[tuple[str, ...], np.ndarray]:
    """The messages themselves, in the order of the file.

    ``split_indices(y, test_fraction, seed, stratified=True)`` gives the rows of the two parts of :func:`sms_spam`.

    Args:
        addresses: Where the archive is downloaded, one address or several that are tried in order.

    Returns:
        5,574 texts, and y int32 [5574], 0 (ham) or 1 (spam).

    Raises:
        DataError: The file is missing or damaged, or cannot be downloaded.

    >>> texts, y = sms_messages()                                                             # doctest: +SKIP
    >>> texts[1], CLASSES[y[1]]                                                               # doctest: +SKIP
    ('Ok lar... Joking wif u oni...', 'ham')
    """
    texts, y, _ = _messages(addresses)
    return texts, y


def _messages(addresses: str | Sequence[str]) -> tuple[tuple[str, ...], np.ndarray, str]:
    own = _own_file()
    if own is not None:
        try:
            content = own.read_bytes()
        except OSError as error:
            raise DataError(f"The file {own} cannot be read: {error.strerror}.") from error
        note = "" if _is_published(content) else "; it differs from the published file"
        if note and not content.endswith(b"\n"):
            warnings.warn(f"{own}: the last line has no end: the file may have been cut off.", stacklevel=4)
        return *_parse(content, str(own)), f"the user's file {own}{note}"
    addresses = (addresses,) if isinstance(addresses, str) else tuple(addresses)
    path = config.cache_folder() / "sms_spam" / "sms_spam_collection.zip"
    content = fetch(path, addresses, _unpack, "The SMS Spam Collection", _HINT)
    source = "Almeida, Gómez Hidalgo: SMS Spam Collection; UCI Machine Learning Repository, doi 10.24432/C5CC84"
    return *_parse(content, str(path)), source


def _own_file() -> Path | None:
    folder = config.data_folder()
    if folder is None:
        return None
    places = [place / name for place in (folder / "sms_spam", folder) for name in (_MEMBER, f"{_MEMBER}.txt")]
    return next((place for place in places if place.is_file()), None)


def _is_published(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == _SHA256


def _unpack(path: Path) -> bytes:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_MEMBER).file_size > _MOST_BYTES:
                raise DataError(f"{_MEMBER} in the archive is larger than {_MOST_BYTES:,} bytes.")
            content = archive.read(_MEMBER)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise DataError(f"the file is not an archive with {_MEMBER} in it ({error}).") from error
    if not _is_published(content):
        found = hashlib.sha256(content).hexdigest()
        raise DataError(f"the checksum is wrong: SHA-256 {found[:16]}..., expected {_SHA256[:16]}...")
    return content


def _parse(content: bytes, source: str) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{source}, row {row}: the text is not UTF-8.") from None
    texts, labels = [], []
    for row, line in enumerate(lines, start=1):
        label, tab, text = line.partition("\t")
        if not tab or label not in CLASSES:
            raise DataError(f"{source}, row {row}: the line must be 'ham' or 'spam', a tab and a text, not {line!r}.")
        texts.append(text)
        labels.append(CLASSES.index(label))
    return tuple(texts), np.array(labels, dtype=np.int32)
