"""Email: each change that people are told, by SMTP."""

import smtplib
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import ClassVar, Literal

from alerts.notifiers.base import CloudEvent
from alerts.notifiers.people import ToPeople
from alerts.notifiers.wording import moment_of
from config.errors import DeliveryFailed, SettingsError
from config.forms import Seconds
from config.secrets import Secret
from config.settings import Port


@dataclass
class Email(ToPeople):
    """One message a change to all whose turn it is; `Message-ID` is the change's id, so a repeat is known."""

    host: str = ""  # mail server
    port: Port = 587  # TCP port
    sender: str = ""  # address that it comes from
    security: Literal["starttls", "tls", "none"] = "starttls"  # none only on a network of your own
    username: str = ""  # empty: none is sent
    password: Secret | None = None  # { env = "NAME" } or { file = "path" }
    timeout_s: Seconds = 15.0

    at_once: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        missing = [name for name in ("host", "sender") if not getattr(self, name)]
        if missing:
            raise SettingsError([f"{name}: missing; an email needs one" for name in missing])
        if self.password is not None and self.security == "none":
            raise SettingsError('security: "none" would send the password in the clear; use "starttls"')

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        for change in changes:
            self._send(change)
        return None

    def _send(self, change: CloudEvent) -> None:
        to = self.turn(change)
        letter = self._letter(change, list(to.values()))
        accepted = False
        try:
            with self._connected() as server:
                accepted = True  # from here on, whether it arrived is for the server to say
                refused = server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryFailed(
                f"{self._name} takes none of the addresses: {_codes(error.recipients)}", unsent=True
            ) from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError, smtplib.SMTPAuthenticationError) as error:
            passing = error.smtp_code < 500 or isinstance(error, smtplib.SMTPAuthenticationError)
            raise DeliveryFailed(
                f"{self._name} answered {error.smtp_code}", permanent=not passing, unsent=True
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(f"{self._name} does not answer: {error}", unsent=not accepted) from error
        if refused:  # the others have it: nothing to be sent again
            self._called = tuple(id for id, address in to.items() if address not in refused)

    @property
    def _name(self) -> str:
        return f"mail server {self.host}:{self.port}"

    def _connected(self) -> smtplib.SMTP:
        trust = ssl.create_default_context()
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout_s, context=trust
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        if self.security == "starttls":
            server.starttls(context=trust)
        if self.password is not None:
            server.login(self.username, self.password.reveal())
        return server

    def _letter(self, change: CloudEvent, to: Sequence[str]) -> EmailMessage:
        words = self.words(change)
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self.sender, ", ".join(to), words.subject
        letter["Message-ID"] = f"<{change['id']}@watchline.invalid>"
        letter["Date"] = format_datetime(moment_of({"time": change["data"]["t"].get("sent")}))
        if change["data"].get("grade") == "P1":
            letter["X-Priority"] = "1"
        letter.set_content(words.text)
        return letter


def _codes(recipients: dict[str, tuple[int, bytes]]) -> str:
    """The server's answers without the addresses: these belong into no log."""
    return ", ".join(sorted({str(code) for code, _ in recipients.values()}))
