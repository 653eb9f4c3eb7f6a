"""The desk's cookies: an encrypted session and, during sign-in, an encrypted state. Nothing is kept on the server."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

SESSION = "glovebox-desk"
SIGNING_IN = "glovebox-desk-state"
LANGUAGE = "glovebox-desk-language"
THEME = "glovebox-desk-theme"
XSRF = "_xsrf"  # the name that the hub's own pages use; a page of ours sends it back as X-XSRFToken
SESSION_SECONDS = 12 * 3600
STATE_SECONDS = 600


@dataclass(frozen=True)
class Session:
    """`token` is the hub's access token; `csrf` is the secret every form of this session carries."""

    token: str
    csrf: str

    @staticmethod
    def fresh(token: str) -> Session:
        return Session(token, secrets.token_urlsafe(24))

    def owns(self, csrf: str) -> bool:
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


@dataclass(frozen=True)
class SigningIn:
    state: str
    verifier: str
    next: str


class Cookies:
    """Encrypts and authenticates with one key; a cookie that is old, foreign or altered reads as absent."""

    def __init__(self, key: bytes, prefix: str, secure: bool) -> None:
        self._box = Fernet(key)
        self._prefix = prefix
        self._secure = secure

    def session(self, request: Request) -> Session | None:
        found = self._open(request, SESSION, SESSION_SECONDS)
        return Session(str(found["token"]), str(found["csrf"])) if found else None

    def signing_in(self, request: Request) -> SigningIn | None:
        found = self._open(request, SIGNING_IN, STATE_SECONDS)
        return SigningIn(str(found["state"]), str(found["verifier"]), str(found["next"])) if found else None

    def begin(self, response: Response, pending: SigningIn) -> None:
        self._set(response, SIGNING_IN, asdict(pending), STATE_SECONDS)

    def sign_in(self, response: Response, session: Session) -> None:
        self._set(response, SESSION, asdict(session), SESSION_SECONDS)
        response.set_cookie(
            XSRF, session.csrf, max_age=SESSION_SECONDS, path=self._prefix, secure=self._secure, samesite="strict"
        )
        response.delete_cookie(SIGNING_IN, path=self._prefix)

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(SESSION, path=self._prefix)
        response.delete_cookie(XSRF, path=self._prefix)

    def remember(self, response: Response, name: str, value: str) -> None:
        """A plain preference: language, which the hub's pages follow too, or theme."""
        path = "/" if name == LANGUAGE else self._prefix
        response.set_cookie(
            name, value, max_age=365 * 86400, path=path, httponly=True, secure=self._secure, samesite="lax"
        )

    def _set(self, response: Response, name: str, value: dict[str, Any], seconds: int) -> None:
        sealed = self._box.encrypt(json.dumps(value).encode()).decode()
        response.set_cookie(
            name, sealed, max_age=seconds, path=self._prefix, httponly=True, secure=self._secure, samesite="lax"
        )

    def _open(self, request: Request, name: str, seconds: int) -> dict[str, Any] | None:
        sealed = request.cookies.get(name)
        if not sealed:
            return None
        try:
            opened = json.loads(self._box.decrypt(sealed.encode(), ttl=seconds))
        except (InvalidToken, ValueError):
            return None
        return opened if isinstance(opened, dict) else None


def cookie_key(path: Path) -> bytes:
    """The key at `path`, made at first use (0600). Losing it only signs people out."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Fernet.generate_key()
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(made)
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, path)
    return made


def safe_next(target: str, prefix: str) -> str:
    """`target` if it is a page of this desk, else the desk's first page: never another site."""
    plain = target.startswith(prefix) and "\\" not in target and not target.startswith("//")
    return target if plain and all(c.isprintable() for c in target) else prefix
