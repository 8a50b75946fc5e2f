"""Settings come from the environment at the moment of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid import config
from pellucid.errors import ConfigurationError


def test_every_setting_has_its_own_variable_and_a_meaning() -> None:
    variables = [setting.variable for setting in config.SETTINGS]
    assert len(set(variables)) == len(variables)
    others = [variable for variable in variables if not variable.startswith("PELLUCID_")]
    assert others == ["OMP_NUM_THREADS"]
    assert all(setting.meaning for setting in config.SETTINGS)
    declared = {value for value in vars(config).values() if isinstance(value, config.Setting)}
    assert declared == set(config.SETTINGS)


def test_a_setting_is_read_anew_at_every_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_BACKEND", " reference ")
    assert config.BACKEND.read() == "reference"
    monkeypatch.delenv("PELLUCID_BACKEND")
    assert config.BACKEND.read() == "auto"
    monkeypatch.setenv("PELLUCID_BACKEND", "")
    assert config.BACKEND.read() == "auto"


@pytest.mark.parametrize(("text", "value"), [("1", True), ("On", True), ("TRUE", True), ("yes", True), ("", False)])
@pytest.mark.parametrize("negated", [False, True])
def test_flags_know_the_usual_words(text: str, value: bool, negated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if negated:
        text, value = {"1": "0", "On": "off", "TRUE": "False", "yes": "NO", "": "0"}[text], False
    monkeypatch.setenv("PELLUCID_VERIFY", text)
    assert config.flag(config.VERIFY) is value


def test_a_flag_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_VERIFY", "maybe")
    with pytest.raises(ConfigurationError, match=r"^PELLUCID_VERIFY must be 0 or 1, not 'maybe'\.$"):
        config.flag(config.VERIFY)


def test_the_data_folder_is_there_only_when_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    assert config.data_folder() is None
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    assert config.data_folder() == tmp_path
    monkeypatch.setenv("PELLUCID_DATA", "~/data")
    assert config.data_folder() == Path.home() / "data"


def test_the_cache_folder_follows_its_variable_then_the_systems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "mine"))
    assert config.cache_folder() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()
    monkeypatch.delenv("PELLUCID_CACHE")
    monkeypatch.setattr(config.os, "name", "posix")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert config.cache_folder() == tmp_path / "pellucid"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert config.cache_folder() == Path.home() / ".cache" / "pellucid"
