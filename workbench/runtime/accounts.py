"""Local accounts in the hub's own database, with passwords hashed by its authenticator's scheme (bcrypt)."""

from __future__ import annotations

import bcrypt
from nativeauthenticator.orm import Base, UserInfo
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from installation.settings import Settings


def ensure_account(settings: Settings, name: str, password: str, *, replace: bool = False) -> bool:
    """Make the account; True when it was made or its password replaced. The password is stored only as a hash."""
    engine = create_engine(f"sqlite:///{settings.home / 'hub.sqlite'}", connect_args={"timeout": 30})
    try:
        Base.metadata.create_all(engine, tables=[UserInfo.__table__])
        with Session(engine) as session:
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
        engine.dispose()
