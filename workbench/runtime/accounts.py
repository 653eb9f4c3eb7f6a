"""Local accounts in the hub's own database, with passwords hashed by its authenticator's scheme (bcrypt)."""

from __future__ import annotations

import logging

import bcrypt
from jupyterhub.orm import new_session_factory
from nativeauthenticator.orm import UserInfo
from sqlalchemy import select

from installation.settings import Settings


def ensure_account(settings: Settings, name: str, password: str, *, replace: bool = False) -> bool:
    """Make the account; True when it was made or its password replaced. The password is stored only as a hash."""
    logging.disable(logging.INFO)  # the hub's migrations would speak into our progress
    try:
        sessions = new_session_factory(f"sqlite:///{settings.home / 'hub.sqlite'}")  # makes and stamps the hub's schema
    finally:
        logging.disable(logging.NOTSET)
    try:
        with sessions() as session:
            found = session.scalar(select(UserInfo).where(UserInfo.username == name))
            if found is not None and not replace:
                return False
            if found is None:
                found = UserInfo(username=name, password=b"", is_authorized=True)
                session.add(found)
            found.password = bcrypt.hashpw(password.encode(), bcrypt.gensalt())
            found.is_authorized = True
            session.commit()
            return True
    finally:
        sessions.kw["bind"].dispose()
