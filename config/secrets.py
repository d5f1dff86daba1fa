"""Secrets: passwords, tokens and signing keys; read from outside the settings file, and never shown."""

from __future__ import annotations

import base64
import hmac
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from config.forms import HIDDEN
from config.quantities import did_you_mean

SIGNING_PREFIX = "whsec_"
LEAST_SIGNING_BYTES = 16
_HOW = (
    'write { env = "NAME" } and set that environment variable, or { file = "path" } with a file that only '
    'its owner can read, or { credential = "name" } with LoadCredential=name:… in the systemd unit'
)


class Secret:
    """A text that never prints itself; `reveal()` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not written down")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _from_settings, serialization=core_schema.plain_serializer_function_ser_schema(repr)
        )


def _from_settings(value: Any, info: Any) -> Secret:
    """What `{ env = … }`, `{ file = … }` or `{ credential = … }` points to."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, Mapping):
        raise _refused(f"a secret must not stand in the settings file; move it out: {_HOW}")
    if len(value) != 1:
        raise _refused(f"must name exactly one place: {_HOW}")
    ((place, name),) = value.items()
    if place not in _PLACES:
        raise _refused(f"unknown place {place}; {did_you_mean(str(place), _PLACES)} ({_HOW})")
    if not isinstance(name, str) or not name:
        raise _refused(f"{place} must be a text in quotes")
    text = _PLACES[place](name, (info.context or {}).get("folder"))
    if not text:
        raise _refused(f'{place} "{name}" is empty')
    return Secret(text)


def _from_environment(name: str, folder: Path | None) -> str:
    if name not in os.environ:
        raise _refused(f"environment variable {name} is not set; set it, or use a file")
    return os.environ[name]


def _from_file(name: str, folder: Path | None) -> str:
    path = (folder or Path()) / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _refused(
                    f"{path} can be read by others (mode {mode & 0o777:03o}); run  chmod 600 {path}"
                )
            return _decoded(file.read(), path)
    except OSError as error:
        raise _refused(f"{path} cannot be read: {error.strerror or error}") from error


def _from_credential(name: str, folder: Path | None) -> str:
    """systemd itself guards this folder (systemd.exec, "Credentials"), so modes are not looked at."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise _refused(
            f"$CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:/path to the systemd unit, "
            "or use env or file"
        )
    if "/" in name or name in (".", ".."):
        raise _refused(f'credential "{name}" must be a name, not a path')
    path = Path(directory) / name
    try:
        return _decoded(path.read_bytes(), path)
    except OSError as error:
        raise _refused(f"credential {name} cannot be read: {error.strerror or error}") from error


_PLACES: Mapping[str, Callable[[str, Path | None], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "credential": _from_credential,
}


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise _refused(f"{path} is not UTF-8 text") from error


def _can_sign(secret: Secret, info: ValidationInfo) -> Secret:
    """Standard Webhooks: `whsec_` and base64; said here so that `check` finds it before the first message."""
    text = secret.reveal().removeprefix(SIGNING_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise _refused("a signing secret must be whsec_ followed by base64") from error
    if len(key) < LEAST_SIGNING_BYTES:
        raise _refused(
            f"a signing secret must hold at least {LEAST_SIGNING_BYTES} bytes, this one has {len(key)}"
        )
    return secret


SigningSecret = Annotated[Secret, AfterValidator(_can_sign)]
"""A secret of the Standard Webhooks form, `whsec_…`."""


def _refused(text: str) -> PydanticCustomError:
    """Never shows what was written: it may be the secret itself."""
    return PydanticCustomError(HIDDEN, "{text}", {"text": text})
