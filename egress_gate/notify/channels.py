"""Ways out of the house: e-mail and webhook. Where they lead is the operator's setting alone; nobody can name an address on a page.

A message holds what happened, the request's number, the project's name and a link. No title, no reason, no text of anybody: those may
speak of data, and what a mail server keeps is outside.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

import httpx

from egress_gate.desk.i18n import Voice
from egress_gate.notify.notices import Notice
from installation.settings import Notify, Settings

SECONDS = 15.0
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,190}")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class NoAddress(Exception):
    """This person cannot be reached by this channel, now or later."""


class Channel(Protocol):
    def send(self, notice: Notice, /) -> None:
        """Raises NoAddress, or any other exception for what may go better next time."""
        ...


def channels_of(settings: Settings) -> dict[str, Channel]:
    """Those that the operator set up."""
    made: dict[str, Channel] = {}
    link = f"{settings.url}/services/gate/"
    if settings.notify.mail_server:
        made["mail"] = Mail(settings.notify, link, _secret(settings.secrets / "mail.password"))
    if settings.notify.webhook:
        made["webhook"] = Webhook(settings.notify.webhook, link, _secret(settings.secrets / "webhook.key"))
    return made


def address_of(notify: Notify, person: str) -> str:
    """A name that is an address is one; else it is at the operator's domain. Raises NoAddress."""
    address = person if "@" in person else f"{person}@{notify.mail_domain}"
    if not _ADDRESS.fullmatch(address):
        raise NoAddress
    return address


def words(notice: Notice, language: str) -> str:
    """What happened in one line, without anything that a person wrote."""
    voice = Voice(language)
    about = notice.request or notice.project or ""
    return voice.text(f"notice.{notice.word}", about=about if _SLUG.fullmatch(about) else "?")


def link_of(notice: Notice, base: str) -> str:
    return f"{base}requests/{notice.request}" if notice.request and _SLUG.fullmatch(notice.request) else base


@dataclass(frozen=True)
class Mail:
    """SMTP, encrypted unless the server is on this machine. `connect` is smtplib's, a parameter for the tests' sake."""

    notify: Notify
    link: str
    password: str
    connect: Callable[..., smtplib.SMTP] = smtplib.SMTP

    def send(self, notice: Notice, /) -> None:
        message = self.message(notice)
        host, _, port = self.notify.mail_server.partition(":")
        with self.connect(host, int(port or 25), timeout=SECONDS) as server:
            if host not in ("127.0.0.1", "localhost", "::1"):
                server.starttls(context=ssl.create_default_context())
            if self.notify.mail_user:
                server.login(self.notify.mail_user, self.password)
            server.send_message(message)

    def message(self, notice: Notice) -> EmailMessage:
        made = EmailMessage()
        made["From"] = self.notify.mail_from
        made["To"] = address_of(self.notify, notice.person)
        made["Subject"] = f"Glovebox: {words(notice, 'en')}"
        made["Message-ID"] = f"<notice-{notice.id}-{notice.seq}@{self.notify.mail_from.rpartition('@')[2]}>"
        made["Auto-Submitted"] = "auto-generated"
        link = link_of(notice, self.link)
        made.set_content(f"{words(notice, 'en')}\n{words(notice, 'zh_Hans')}\n\n{link}\n")
        return made


@dataclass(frozen=True)
class Webhook:
    """One POST of JSON, signed over its bytes; redirects are not followed, so that it goes where the operator said."""

    url: str
    link: str
    key: str
    transport: httpx.BaseTransport | None = None

    def send(self, notice: Notice, /) -> None:
        body = json.dumps(self.body(notice), sort_keys=True).encode()
        headers = {"content-type": "application/json", "x-glovebox-notice": str(notice.id)}
        if self.key:
            headers["x-glovebox-signature"] = "sha256=" + hmac.new(self.key.encode(), body, hashlib.sha256).hexdigest()
        with httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False, transport=self.transport) as client:
            answer = client.post(self.url, content=body, headers=headers)
        if not answer.is_success:
            raise ConnectionError(f"the webhook answered {answer.status_code}")

    def body(self, notice: Notice) -> Mapping[str, object]:
        return {
            "id": notice.id,
            "entry": notice.seq,
            "what": notice.word,
            "person": notice.person,
            "request": notice.request,
            "project": notice.project,
            "at": notice.told_at,
            "link": link_of(notice, self.link),
        }


def _secret(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.exists() else ""
