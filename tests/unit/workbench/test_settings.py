"""Settings stop the start when they cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation.settings import SettingsFault, load


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prots = 1", "prots"),
        ("[ports]\npublik = 1", "publik"),
        ("ports = 8000", "ports"),
        ("host = 5", "host"),
        ('[ports]\npublic = "8000"', "public"),
        ("[ports]\npublic = true", "public"),
        ("[ports]\npublic = 70000", "65535"),
        ("[ports]\npublic = 8001", "once"),
        ('policy_engine = "none"', "policy_engine"),
        ('authenticator = "nobody"', "authenticator"),
        ('tls_cert = "/nowhere.pem"', "belong together"),
        ('tls_cert = "/nowhere.pem"\ntls_key = "/nowhere.key"', "read"),
        ("[sandbox]\nmemory = 0", "positive"),
        ("host = ", "TOML"),
    ],
)
def test_setting_that_cannot_work_is_refused_and_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "settings.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsFault) as refused:
        load(tmp_path)
    assert named in f"{refused.value.what} {refused.value.why}"
    assert refused.value.do


def test_without_a_file_everything_has_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    made = load(tmp_path)
    assert made.url == "http://127.0.0.1:8000"
    assert made.database == f"sqlite:///{tmp_path}/glovebox.sqlite"


def test_certificate_makes_the_address_https(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    (tmp_path / "settings.toml").write_text(f'tls_cert = "{tmp_path}/cert"\ntls_key = "{tmp_path}/key"', "utf-8")
    assert load(tmp_path).url == "https://127.0.0.1:8000"
