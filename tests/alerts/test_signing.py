"""Signing: our signatures and the reference library's are the same thing."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from alerts.signing import SignatureRefused, key_of, new_secret, sign, verify
from config.errors import SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_767_578_400
BODY = '{"你好": 1}'.encode()


def test_the_published_vector_comes_out() -> None:
    headers = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(min_size=1), st.dictionaries(st.text(), st.integers()))
def test_the_reference_library_accepts_what_we_sign(message_id: str, body: dict[str, int]) -> None:
    secret = new_secret()
    message_id = message_id.encode("utf-8", "replace").decode()
    payload = json.dumps(body).encode()

    headers = sign(secret, message_id, int(time.time()), payload)

    assert Webhook(secret).verify(payload, headers) == body


def test_our_signature_verifies_and_header_names_may_be_written_in_any_case() -> None:
    headers = {name.title(): value for name, value in sign(SECRET, "a-1", NOW, BODY).items()}

    verify(SECRET, headers, BODY, NOW)


def test_one_fitting_signature_among_several_is_enough_so_that_secrets_can_be_rotated() -> None:
    headers = sign(SECRET, "a-1", NOW, BODY)
    headers["webhook-signature"] = "v1,AAAA v2,xyz " + headers["webhook-signature"]

    verify(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(header: str) -> None:
    headers = sign(SECRET, "a-1", NOW, BODY)
    del headers[header]

    with pytest.raises(SignatureRefused, match=header):
        verify(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_a_message_too_old_or_too_new_is_refused_although_its_key_is_right(off_s: int) -> None:
    headers = sign(SECRET, "a-1", NOW + off_s, BODY)

    with pytest.raises(SignatureRefused, match="301 s"):
        verify(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("stamp", ["", "soon", "-5", "1e9", "²", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_refused(stamp: str) -> None:
    headers = sign(SECRET, "a-1", NOW, BODY) | {"webhook-timestamp": stamp}

    with pytest.raises(SignatureRefused):
        verify(SECRET, headers, BODY, NOW)


@given(st.binary(max_size=50), st.text(max_size=50), st.integers(0, 2))
def test_whatever_is_changed_the_signature_no_longer_fits(body: bytes, text: str, part: int) -> None:
    headers = sign(SECRET, "a-1", NOW, BODY)
    changed = dict(headers)
    if part == 0:
        headers_body = body
    else:
        headers_body = BODY
        changed["webhook-id" if part == 1 else "webhook-signature"] = text or "x"
    if headers_body == BODY and changed == headers:
        return

    with pytest.raises(SignatureRefused):
        verify(SECRET, changed, headers_body, NOW)


def test_another_secret_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="does not fit"):
        verify(new_secret(), sign(SECRET, "a-1", NOW, BODY), BODY, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_你好", "whsec_====", "short", "whsec_MfKQ9r8G"])
def test_a_secret_that_is_none_is_a_settings_error(secret: str) -> None:
    with pytest.raises(SettingsError, match="signing secret"):
        key_of(secret)


def test_a_secret_without_prefix_or_padding_is_the_same_secret() -> None:
    assert key_of(SECRET.removeprefix("whsec_").rstrip("=")) == key_of(SECRET)
