"""Who is told what, once; by desk, e-mail and webhook; and that nothing of anybody's text goes out."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_string
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from egress_gate.domain.review import ReviewVerdict
from egress_gate.notify import notices
from egress_gate.notify.channels import Channel, Mail, NoAddress, Webhook, address_of, channels_of
from egress_gate.notify.notices import Notice
from egress_gate.notify.notifier import GIVE_UP, Notifier
from egress_gate.service.converse import say
from egress_gate.service.deliver import download, revoke
from egress_gate.store.messages import Audience
from installation.settings import Notify, SettingsFault, load
from store import schema as s
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ANA, RAW, STELLA, World, make_world

LINK = "https://desk.example/services/gate/"
SECRETS = ("Sex ratio", "Looked at it", "A table for the paper", "Table 1", "nafld1", "a private thought")


@dataclass
class Recorder:
    sent: list[Notice] = field(default_factory=list)
    broken: bool = False

    def send(self, notice: Notice, /) -> None:
        if self.broken:
            raise ConnectionError("away")
        self.sent.append(notice)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path / "home")
    Notifier(made.gate.store, {}, made.clock).round()
    return made


def notifier(world: World, **channels: Channel) -> Notifier:
    return Notifier(world.gate.store, channels, world.clock)


def told(world: World, person: str) -> list[str]:
    with world.gate.store.read() as c:
        return [n.word for n in reversed(notices.of(c, person))]


def test_each_is_told_what_concerns_them_and_nobody_of_their_own_doing(world: World) -> None:
    row = world.released()
    download(world.gate, ANA, world.release_of(row), world.clock())
    revoke(world.gate, STELLA, world.release_of(row), "Wrong.", world.clock())
    notifier(world).round()
    assert told(world, "ana") == ["approved", "released", "revoked"]
    assert told(world, "stella") == ["review_wanted"]
    assert told(world, "stefan") == ["review_wanted"]
    assert told(world, "adam") == []


def test_a_refusal_and_a_return_reach_the_author(world: World) -> None:
    world.submitted(RAW)
    world.reviewed(world.checked(), ReviewVerdict.RETURN)
    notifier(world).round()
    assert [w for w in told(world, "ana") if w != "approved"] == ["refused", "returned"]


def test_a_private_note_is_not_told_to_the_author(world: World) -> None:
    row = world.checked()
    say(world.gate, STELLA, row.id, Audience.REVIEWERS, "a private thought", world.clock())
    say(world.gate, ANA, row.id, Audience.AUTHOR, "Why so long?", world.clock())
    notifier(world).round()
    assert told(world, "ana") == []
    assert told(world, "stefan") == ["review_wanted", "message", "message"]
    assert told(world, "stella") == ["review_wanted", "message"]


def test_every_entry_is_drawn_once_however_often_it_is_looked_at(world: World) -> None:
    world.released()
    for _ in range(3):
        notifier(world).round()
    assert told(world, "ana") == ["approved", "released"]
    assert len(world.entries("notices.drawn")) == 1
    before = len(world.entries())
    notifier(world).round()
    assert len(world.entries()) == before


def test_what_was_there_before_the_first_start_is_told_to_nobody(tmp_path: Path) -> None:
    world = make_world(tmp_path / "old")
    world.released()
    notifier(world).round()
    assert told(world, "ana") == []
    world.reviewed(world.checked())
    notifier(world).round()
    assert told(world, "ana") == ["approved"]


def test_a_delivery_is_tried_again_and_made_once(world: World) -> None:
    out = Recorder(broken=True)
    loop = notifier(world, mail=out)
    world.submitted(RAW)
    loop.round()
    assert not out.sent
    out.broken = False
    loop.round()
    assert not out.sent  # it waits before it tries again
    world.clock.skip(minutes=1)
    loop.round()
    loop.round()
    notifier(world, mail=out).round()
    assert [n.word for n in out.sent] == ["refused"]
    assert len(world.entries("notice.sent")) == 1


def test_a_delivery_that_never_works_is_given_up(world: World) -> None:
    loop = notifier(world, mail=Recorder(broken=True))
    world.submitted(RAW)
    loop.round()
    world.clock.skip(seconds=GIVE_UP.total_seconds() + 1)
    loop.round()
    assert len(world.entries("notice.given_up")) == 1
    with world.gate.store.read() as c:
        assert notices.waiting(c) == []


def test_a_process_that_died_before_sending_loses_nothing(world: World) -> None:
    world.submitted(RAW)
    notices.draw(world.gate.store, ("mail",), world.clock())
    out = Recorder()
    notifier(world, mail=out).round()
    assert len(out.sent) == 1


class Smtp(socketserver.StreamRequestHandler):
    """Enough of a mail server to take one message."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        body: list[str] | None = None
        while line := self.rfile.readline().decode():
            if body is not None:
                if line == ".\r\n":
                    self.server.mail.append("".join(body))  # type: ignore[attr-defined]
                    body = None
                    self.wfile.write(b"250 taken\r\n")
                else:
                    body.append(line)
            elif line.upper().startswith("DATA"):
                body = []
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith("QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def mail_server() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        server.mail = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_mail_says_what_happened_in_two_languages_and_nothing_of_the_data(
    world: World, mail_server: socketserver.ThreadingTCPServer
) -> None:
    place = f"127.0.0.1:{mail_server.server_address[1]}"
    mail = Mail(Notify(mail_server=place, mail_from="desk@example.org", mail_domain="example.org"), LINK, "")
    world.released()
    notifier(world, mail=mail).round()
    parsed = [message_from_string(m) for m in mail_server.mail]  # type: ignore[attr-defined]
    by_person = {(m["To"], m["Subject"]): m for m in parsed}
    assert ("ana@example.org", "Glovebox: R-1 was released and can be downloaded") in by_person
    text = "".join(p.get_payload(decode=True).decode() + str(p) for p in parsed)  # type: ignore[union-attr]
    assert "R-1 已放行" in text
    assert f"{LINK}requests/R-1" in text
    assert not [secret for secret in SECRETS if secret in text]


class Encrypted(socketserver.StreamRequestHandler):
    """A mail server that offers STARTTLS, and keeps what it heard before and after."""

    def handle(self) -> None:
        heard: list[str] = self.server.before  # type: ignore[attr-defined]
        self.wfile.write(b"220 here\r\n")
        body: list[str] | None = None
        while line := self.rfile.readline().decode():
            heard.append(line)
            if body is not None:
                body.append(line)
                if line == ".\r\n":
                    body = None
                    self.wfile.write(b"250 taken\r\n")
            elif line.startswith("ehlo"):
                offers = b"AUTH PLAIN" if isinstance(self.connection, ssl.SSLSocket) else self.server.offers  # type: ignore[attr-defined]
                self.wfile.write(b"250-here\r\n250 " + offers + b"\r\n")
            elif line.startswith("STARTTLS"):
                self.wfile.write(b"220 go on\r\n")
                try:
                    self._encrypt()
                except (ssl.SSLError, OSError):
                    return
                heard = self.server.after  # type: ignore[attr-defined]
            elif line.startswith("data"):
                body = []
                self.wfile.write(b"354 go on\r\n")
            elif line.startswith("AUTH"):
                self.wfile.write(b"235 known\r\n")
            elif line.startswith("QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")

    def _encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate)  # type: ignore[attr-defined]
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def finish(self) -> None:
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


def certificate_for(host: str, file: Path) -> Path:
    """A key and a certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(
        datetime.now(UTC) + timedelta(days=1)
    )
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, SHA256())
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(plain + signed.public_bytes(Encoding.PEM))
    return file


class ToLoopback(smtplib.SMTP):
    """smtplib, for which every name leads to this machine."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout)


@dataclass
class Encrypting:
    server: socketserver.ThreadingTCPServer

    def mail(self, host: str = "mail.example.org") -> Mail:
        place = f"{host}:{self.server.server_address[1]}"
        notify = Notify(mail_server=place, mail_from="desk@example.org", mail_domain="example.org", mail_user="desk")
        return Mail(notify, LINK, "a password", ToLoopback)

    def heard(self) -> tuple[str, str]:
        return "".join(self.server.before), "".join(self.server.after)  # type: ignore[attr-defined]


@pytest.fixture
def encrypting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Encrypting]:
    """An encrypting server whose certificate this process trusts."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Encrypted) as server:
        server.before, server.after, server.offers = [], [], b"STARTTLS"  # type: ignore[attr-defined]
        server.certificate = certificate_for("mail.example.org", tmp_path / "mail.pem")  # type: ignore[attr-defined]
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Encrypting(server)
        server.shutdown()


def secrets_of(text: str) -> list[str]:
    """What must not be said before the line is encrypted."""
    return [one for one in ("AUTH", "mail FROM", "rcpt", "R-1", "ana@") if one.lower() in text.lower()]


NOTICE = Notice(1, 7, "ana", "refused", "R-1", "liver", None, "2026-11-23T09:00:00.000000Z", None)


def test_a_mail_to_another_machine_is_encrypted_before_anything_is_said(encrypting: Encrypting) -> None:
    encrypting.mail().send(NOTICE)
    before, after = encrypting.heard()
    assert secrets_of(before) == []
    assert "AUTH PLAIN" in after
    assert f"{LINK}requests/R-1" in after


def test_a_mail_server_that_does_not_encrypt_gets_nothing(encrypting: Encrypting) -> None:
    encrypting.server.offers = b"AUTH PLAIN"  # type: ignore[attr-defined]
    with pytest.raises(smtplib.SMTPNotSupportedError):
        encrypting.mail().send(NOTICE)
    assert [secrets_of(heard) for heard in encrypting.heard()] == [[], []]


@pytest.mark.parametrize("case", ["of another name", "that nobody vouches for"])
def test_a_mail_server_with_a_certificate_gets_nothing(
    encrypting: Encrypting, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "that nobody vouches for":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate_for("mail.example.org", tmp_path / "other.pem")))
    host = "mail.example.org" if case == "that nobody vouches for" else "other.example.org"
    with pytest.raises(ssl.SSLCertVerificationError):
        encrypting.mail(host).send(NOTICE)
    assert [secrets_of(heard) for heard in encrypting.heard()] == [[], []]


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.calls.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.calls, server.status = [], 204  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_gets_signed_json_without_data(world: World, hook: ThreadingHTTPServer) -> None:
    world.submitted(RAW)
    way = Webhook(f"http://127.0.0.1:{hook.server_address[1]}/in", LINK, "key")
    notifier(world, webhook=way).round()
    ((path, headers, body),) = hook.calls  # type: ignore[attr-defined]
    assert path == "/in"
    found = {name.lower(): value for name, value in headers.items()}
    assert found["x-glovebox-signature"] == "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest()
    said = json.loads(body)
    assert (said["what"], said["person"], said["request"]) == ("refused", "ana", "R-1")
    assert not [secret for secret in SECRETS if secret.encode() in body]


@pytest.mark.parametrize("status", [302, 307, 500])
def test_a_webhook_is_not_led_elsewhere(world: World, hook: ThreadingHTTPServer, status: int) -> None:
    hook.status = status  # type: ignore[attr-defined]
    world.submitted(RAW)
    notifier(world, webhook=Webhook(f"http://127.0.0.1:{hook.server_address[1]}/in", LINK, "")).round()
    assert [path for path, _, _ in hook.calls] == ["/in"]  # type: ignore[attr-defined]
    assert world.entries("notice.sent") == []


@pytest.mark.parametrize("person", ["ana\r\nBcc: eve@evil.example", "ana bo", "", "a@b@c", "ana>", "é"])
def test_a_name_that_is_no_address_gets_no_mail(person: str) -> None:
    with pytest.raises(NoAddress):
        address_of(Notify(mail_domain="example.org"), person)


@pytest.mark.parametrize(
    "line",
    [
        'webhook = "http://169.254.169.254/latest"',
        'webhook = "ftp://example.org/"',
        'webhook = "https://user@evil.example/"',
        'webhook = "file:///etc/passwd"',
        'mail_server = "mail.example.org"',
        'unknown = "x"',
    ],
)
def test_an_unsafe_or_unfinished_setting_stops_the_start(tmp_path: Path, line: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[notify]\n{line}\n")
    with pytest.raises(SettingsFault):
        load(tmp_path)


def test_channels_are_what_the_operator_set_up(tmp_path: Path) -> None:
    assert channels_of(load(tmp_path)) == {}
    (tmp_path / "settings.toml").write_text(
        '[notify]\nmail_server = "127.0.0.1:2525"\nmail_from = "desk@example.org"\nwebhook = "https://example.org/hook"\n'
    )
    assert set(channels_of(load(tmp_path))) == {"mail", "webhook"}


def test_the_desk_counts_and_shows_them_and_what_was_seen_is_read(world: World) -> None:
    world.submitted(RAW)
    notifier(world).round()
    client = signed_in(make_desk(world), "ana")
    page = client.get(f"{PREFIX}notices").text
    assert "R-1 was refused by the gate" in page
    assert "bell-n" in page
    with world.gate.store.read() as c:
        newest = c.execute(select(s.notice.c.id).order_by(s.notice.c.id.desc())).scalars().first()
    world.submitted(RAW)
    notifier(world).round()
    client.post(f"{PREFIX}notices/read", data={"upto": str(newest)})
    with world.gate.store.read() as c:
        assert notices.unread(c, "ana") == 1
    client.post(f"{PREFIX}notices/read", data={"upto": str(newest)})
    assert len(world.entries("notices.read")) == 1


def test_nobody_reads_or_marks_anothers_notices(world: World) -> None:
    world.submitted(RAW)
    notifier(world).round()
    other = signed_in(make_desk(world), "amir")
    assert "R-1" not in other.get(f"{PREFIX}notices").text
    other.post(f"{PREFIX}notices/read", data={"upto": "99"})
    with world.gate.store.read() as c:
        assert notices.unread(c, "ana") == 1
