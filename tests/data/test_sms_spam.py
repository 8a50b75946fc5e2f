from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.mirror import Mirror

from pellucid.data import load, names, sms_messages, split_indices
from pellucid.data import sms_spam as module
from pellucid.errors import ConfigurationError, DataError

SMALL = "ham\tsee you at home\nspam\tFREE prize, call now\nham\tok, see you\nspam\tfree call\n" * 3
ZIP = "collection.zip"


def zipped(text: str = SMALL, member: str = "SMSSpamCollection") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(member, text)
        archive.writestr("readme", "about the data")
    return out.getvalue()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small file in place of the published one."""
    monkeypatch.setattr(module, "_SHA256", hashlib.sha256(SMALL.encode()).hexdigest())


def test_the_real_collection_has_its_published_numbers(spam_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_DATA", str(spam_folder.parent))
    texts, y = sms_messages()
    assert np.bincount(y).tolist() == [4827, 747]
    assert len(set(texts)) == 5574 - 403
    data = load("sms_spam", weighting="tfidf")
    assert data.x_train.shape == (4459, 2000)
    assert data.source == f"the user's file {spam_folder / 'SMSSpamCollection'}"  # and no note: it is the published one
    _, test = split_indices(y, 0.2, 0, True)
    assert data.encoder is not None
    assert np.array_equal(data.encoder.encode([texts[row] for row in test]), data.x_test)
    assert np.array_equal(data.y_test, y[test])
    distinct = load("sms_spam", repeats=False)
    assert len(distinct.x_train) + len(distinct.x_test) == 5171


def test_the_real_collection_is_learnt(spam_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.classic import Perceptron

    monkeypatch.setenv("PELLUCID_DATA", str(spam_folder.parent))
    data = load("sms_spam", repeats=False)
    model = Perceptron(0.1, 20).fit(data.x_train, data.y_train)
    caught = model.predict(data.x_test) == 1
    assert (caught == data.y_test).mean() > 0.97
    assert caught[data.y_test == 1].mean() > 0.85


def test_a_download_is_checked_unpacked_and_kept(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path
) -> None:
    mirror = serve({ZIP: zipped()})
    for _ in range(2):
        data = load("sms_spam", addresses=[mirror.address + "missing.zip", mirror.address + ZIP], test_fraction=0.5)
        assert data.target_names == ("ham", "spam")
        assert len(data.x_train) == 6
    assert mirror.requests == ["missing.zip", ZIP]
    assert [path.name for path in (own_settings / "sms_spam").iterdir()] == ["sms_spam_collection.zip"]
    assert "10.24432/C5CC84" in data.source


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(SMALL + "ham\tmore\n"), "the checksum is wrong: SHA-256 "),
        (zipped(member="other"), "the file is not an archive with SMSSpamCollection in it ("),
        (b"<html>moved</html>", "the file is not an archive with SMSSpamCollection in it ("),
    ],
)
def test_a_download_of_other_content_is_refused_and_not_kept(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path, content: bytes, message: str
) -> None:
    mirror = serve({ZIP: content})
    with pytest.raises(DataError) as caught:
        sms_messages(addresses=mirror.address + ZIP)
    assert caught.value.message == (
        "The SMS Spam Collection could not be downloaded: every attempt to get sms_spam_collection.zip failed."
    )
    assert caught.value.details[0].startswith(f"{mirror.address}{ZIP}: {message}")
    assert caught.value.hint is not None
    assert "set PELLUCID_DATA" in caught.value.hint
    assert list((own_settings / "sms_spam").iterdir()) == []


def test_a_damaged_archive_in_the_cache_is_downloaded_again(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path
) -> None:
    mirror = serve({ZIP: zipped()})
    sms_messages(addresses=mirror.address + ZIP)
    kept = own_settings / "sms_spam" / "sms_spam_collection.zip"
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(sms_messages(addresses=mirror.address + ZIP)[0]) == 12
    assert mirror.requests == [ZIP, ZIP]


def test_an_archive_that_would_unpack_to_too_much_is_refused(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    with pytest.raises(DataError) as caught:
        sms_messages(addresses=serve({ZIP: zipped()}).address + ZIP)
    assert caught.value.details[0].endswith("SMSSpamCollection in the archive is larger than 10 bytes.")


@pytest.mark.parametrize("place", ["SMSSpamCollection", "sms_spam/SMSSpamCollection", "sms_spam/SMSSpamCollection.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_own_files_are_found_and_read_with_either_line_end(own: Path, place: str, end: str) -> None:
    (own / place).parent.mkdir(exist_ok=True)
    (own / place).write_bytes(SMALL.replace("\n", end).encode())
    texts, y = sms_messages()
    assert texts[:2] == ("see you at home", "FREE prize, call now")
    assert y.tolist() == [0, 1] * 6
    assert load("sms_spam").source == f"the user's file {own / place}; it differs from the published file"


def test_a_file_that_breaks_off_is_read_with_a_warning(own: Path) -> None:
    (own / "SMSSpamCollection").write_text(SMALL[:-3])
    with pytest.warns(
        UserWarning, match=r"SMSSpamCollection: the last line has no end: the file may have been cut off"
    ):
        assert len(sms_messages()[0]) == 12


def test_the_vocabulary_is_measured_on_the_training_messages_alone(own: Path) -> None:
    lines = [f"{'spam' if i % 2 else 'ham'}\tword{i:02d} common" for i in range(20)]
    (own / "SMSSpamCollection").write_text("\n".join([*lines, ""]), encoding="utf-8")
    data = load("sms_spam", test_fraction=0.25)
    assert len(data.feature_names) == 15 + 1
    assert data.x_test.sum(axis=1).tolist() == [1.0] * 5  # the common word only


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"ham\thello\nhello there\n",
            ", row 2: the line must be 'ham' or 'spam', a tab and a text, not 'hello there'.",
        ),
        (b"ham\thello\neggs\tx\n", ", row 2: the line must be 'ham' or 'spam', a tab and a text, not 'eggs\\tx'."),
        (b"ham\thello\nham\t\xff\n", ", row 2: the text is not UTF-8."),
    ],
)
def test_lines_of_another_form_are_named(own: Path, content: bytes, message: str) -> None:
    (own / "SMSSpamCollection").write_bytes(content)
    with pytest.raises(DataError) as caught:
        sms_messages()
    assert str(caught.value) == f"{own / 'SMSSpamCollection'}{message}"


def test_the_archives_are_those_of_the_uci_repository_and_the_name_is_listed() -> None:
    assert all(address.startswith("https://archive.ics.uci.edu/") for address in module.ADDRESSES)
    assert "sms_spam" in names()
    with pytest.raises(ConfigurationError, match="did you mean 'sms_spam'"):
        load("smsspam")
