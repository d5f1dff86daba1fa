"""Sealing: bytes that only whoever asked for them can open, for as long as that process remembers its key.

X25519 with a fresh key on both sides, HKDF-SHA256, ChaCha20-Poly1305 (RFC 7748, 5869, 8439), by the library
`cryptography`. What was sealed for a key that is forgotten is lost for good, wherever a copy of it lies.
"""

import base64
import secrets

from config.errors import SettingsError

NEEDS = "break-glass from the centre needs a library: pip install 'watchline[glass]'"
KEY_BYTES, NONCE_BYTES = 32, 12


class SealBroken(Exception):
    """It was not sealed for this key, about something else, or was changed."""


class Opener:
    """One question: `public` goes out with it, and its answer is opened here. Kept in memory alone."""

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        except ImportError as error:
            raise SettingsError(NEEDS) from error
        self._private = X25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return base64.b64encode(self._private.public_key().public_bytes_raw()).decode()

    def open(self, sealed: str, about: str) -> bytes:
        """What was sealed about something; SealBroken otherwise."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        try:
            raw = base64.b64decode(sealed, validate=True)
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(raw[:KEY_BYTES]))
            nonce, text = raw[KEY_BYTES : KEY_BYTES + NONCE_BYTES], raw[KEY_BYTES + NONCE_BYTES :]
            return ChaCha20Poly1305(_key(shared, raw[:KEY_BYTES])).decrypt(nonce, text, about.encode())
        except (ValueError, InvalidTag) as error:
            raise SealBroken("the answer cannot be opened") from error


def seal(public: str, text: bytes, about: str) -> str:
    """Sealed for a key; ValueError where that is none, SettingsError where the library is missing."""
    try:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    except ImportError as error:
        raise SettingsError(NEEDS) from error
    theirs = X25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
    ours = X25519PrivateKey.generate()
    head = ours.public_key().public_bytes_raw()
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = ChaCha20Poly1305(_key(ours.exchange(theirs), head)).encrypt(nonce, text, about.encode())
    return base64.b64encode(head + nonce + sealed).decode()


def _key(shared: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt, b"watchline break-glass 1").derive(shared)
