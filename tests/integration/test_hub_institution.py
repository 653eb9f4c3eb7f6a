"""The hub as an institution runs it: its own certificate, people and groups from an identity provider."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from installation.settings import Settings
from tests.conftest import glovebox, make_installation
from workbench.runtime.process import _warn_of_plain_http

OIDC = """
authenticator = "oidc"
tls_cert = "{folder}/cert.pem"
tls_key = "{folder}/key.pem"
[oidc]
client_id = "glovebox"
client_secret = "secret"
authorize_url = "https://id.example.org/authorize"
token_url = "https://id.example.org/token"
userdata_url = "https://id.example.org/userinfo"
username_claim = "preferred_username"
scope = ["openid", "profile", "groups"]
auth_state_groups_key = "oauth_user.groups"
allowed_groups = ["analysts", "stewards", "admins", "auditors"]
"""


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
    )
    signed = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(
        key, hashes.SHA256()
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    encoding, form, lock = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, form, lock))


@pytest.fixture(scope="module")
def institution(tmp_path_factory: pytest.TempPathFactory, built_image: str) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("institution")
    write_certificate(folder)
    made = make_installation(folder / "home", OIDC.format(folder=folder))
    started = glovebox(made, "up")
    try:
        if started.returncode != 0:
            pytest.fail(f"{started.stdout}{started.stderr}")
        yield made
    finally:
        glovebox(made, "down")
        sys.stdout.write((made.logs / "hub.log").read_text("utf-8", "replace")[-20_000:])


@pytest.mark.docker
@pytest.mark.opa
def test_people_are_sent_to_their_provider_over_tls(institution: Settings) -> None:
    assert institution.url.startswith("https://")
    with httpx.Client(base_url=institution.url, verify=False, trust_env=False) as browser:  # noqa: S501 - made for this test
        page = browser.get("/hub/oauth_login")
    target = urlsplit(page.headers["location"])
    assert target.netloc == "id.example.org"
    assert parse_qs(target.query)["client_id"] == ["glovebox"]
    assert all("Secure" in cookie for cookie in page.headers.get_list("set-cookie"))


@pytest.mark.docker
@pytest.mark.opa
def test_local_accounts_are_refused_where_a_provider_has_them(institution: Settings) -> None:
    said = glovebox(institution, "user", "add", "nora", "--role", "analyst")
    assert said.returncode == 1
    assert "identity provider" in said.stderr


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": ""}, True),
        ({"host": "0.0.0.0", "tls_cert": "cert.pem", "tls_key": "key.pem"}, False),
        ({"host": "10.0.0.5", "public_url": "https://workbench.example.org"}, False),
    ],
)
def test_plain_http_that_others_reach_is_warned_of(settings: Settings, changes: dict[str, str], warned: bool) -> None:
    said: list[str] = []
    _warn_of_plain_http(replace(settings, **changes), said.append)  # type: ignore[arg-type]
    assert bool(said) is warned
