"""Secrets: never in the settings file, never printed, never readable by others."""

import copy
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from config.forms import fill, said_at
from config.secrets import Secret, SigningSecret

WORD = "hunter2-correct-horse"


@dataclass(frozen=True)
class Account:
    password: Secret
    signing: SigningSecret | None = None


def account(folder: Path, **written: Any) -> Account:
    return fill(Account, written, said_at("x.toml:1: account"), folder)


def refusal(folder: Path, **written: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        account(folder, **written)
    return str(refused.value)


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WL_PASSWORD", WORD)
    assert account(tmp_path, password={"env": "WL_PASSWORD"}).password.reveal() == WORD


def test_a_secret_comes_from_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(WORD + "\n", "utf-8")
    path.chmod(0o600)
    assert account(tmp_path, password={"file": "password"}).password == Secret(WORD)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "password"
    path.write_text(WORD, "utf-8")
    path.chmod(mode)
    told = refusal(tmp_path, password={"file": "password"})
    assert f"mode {mode:03o}" in told
    assert f"chmod 600 {path}" in told


def test_a_secret_comes_from_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "mqtt").write_text(WORD, "utf-8")
    assert account(tmp_path, password={"credential": "mqtt"}).password.reveal() == WORD
    assert "must be a name" in refusal(tmp_path, password={"credential": "../mqtt"})


def test_a_credential_without_its_folder_says_what_the_unit_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "LoadCredential=mqtt:" in refusal(tmp_path, password={"credential": "mqtt"})


@pytest.mark.parametrize("written", [WORD, [WORD], {"text": WORD}, {"env": "A", "file": WORD}, 5, True])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, written: Any) -> None:
    told = refusal(tmp_path, password=written)
    assert '{ env = "NAME" }' in told
    assert WORD not in told


@pytest.mark.parametrize(
    "written", [{"env": "WL_NOT_SET"}, {"file": "none"}, {"env": 5}, {"env": "WL_EMPTY"}]
)
def test_a_place_without_a_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Any
) -> None:
    monkeypatch.setenv("WL_EMPTY", "")
    assert refusal(tmp_path, password=written).startswith("x.toml:1: account.password: ")


@pytest.mark.parametrize("text", ["whsec_not base64!", "whsec_c2hvcnQ="])
def test_a_signing_secret_that_cannot_sign_is_found_before_the_first_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("WL_SIGN", text)
    told = refusal(tmp_path, password={"env": "WL_SIGN"}, signing={"env": "WL_SIGN"})
    assert "signing secret must" in told
    assert text not in told


def test_a_secret_never_prints_itself() -> None:
    secret = Secret(WORD)
    for shown in (repr(secret), str(secret), f"{secret}", f"{Account(secret)}", repr([secret])):
        assert WORD not in shown
    assert repr(secret) == "Secret(***)"
    assert WORD not in repr(vars(Account)) + str(getattr(secret, "__dict__", ""))


def test_a_secret_is_not_written_down() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(WORD))


def test_equal_secrets_are_equal() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert Secret(WORD) != Secret("other")
    assert len({Secret(WORD), Secret(WORD)}) == 1
