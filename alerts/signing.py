"""Signing: Standard Webhooks signatures, so that a receiver knows who speaks and that nothing was changed.

Source: standardwebhooks.com, specification 1.0: HMAC-SHA256 over `id.timestamp.body`, written `v1,<base64>`.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from config.errors import SettingsError

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
LEAST_KEY_BYTES = 16  # the specification asks for 24 to 64; shorter keys of old receivers still pass


class SignatureRefused(Exception):
    """The message is not from who it says, was changed, or is too old or too new; the text says which."""


def new_secret() -> str:
    """A fresh secret of 32 random bytes, `whsec_…`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key inside `whsec_<base64>` (padding may be missing); SettingsError on anything else."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:  # binascii's own error is one
        raise SettingsError("a signing secret must be whsec_ followed by base64") from error
    if len(key) < LEAST_KEY_BYTES:
        raise SettingsError(f"a signing secret must hold at least {LEAST_KEY_BYTES} bytes, got {len(key)}")
    return key


def sign(secret: str, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
    """The three headers that go with `body`; a repeat keeps its id and gets a new timestamp."""
    signature = _signature(key_of(secret), message_id, now_s, body)
    return {ID: message_id, TIMESTAMP: str(now_s), SIGNATURE: signature}


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: int, tolerance_s: int = 300) -> None:
    """Raises SignatureRefused unless one of the signatures in `headers` (names in any case) fits.

    A signature of the right key, but outside `tolerance_s` of `now_s`, is refused too: it may be a replay.
    """
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not given.get(name)]
    if missing:
        raise SignatureRefused(f"header {missing[0]} is missing")
    stamp = given[TIMESTAMP]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise SignatureRefused(f"{TIMESTAMP} must be seconds since 1970, got {stamp[:40]!r}")
    age_s = now_s - int(stamp)
    if abs(age_s) > tolerance_s:
        how = f"{age_s} s old" if age_s > 0 else f"{-age_s} s ahead"
        raise SignatureRefused(f"{TIMESTAMP} is {how}, more than {tolerance_s} s: check both clocks")
    wanted = _signature(key_of(secret), given[ID], int(stamp), body).encode()
    fits = [hmac.compare_digest(wanted, one.encode()) for one in given[SIGNATURE].split(" ")]
    if not any(fits):
        raise SignatureRefused(f"{SIGNATURE} does not fit: wrong secret or changed body")


def _signature(key: bytes, message_id: str, now_s: int, body: bytes) -> str:
    signed = f"{message_id}.{now_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
