"""OPA: found on PATH, or built at a pinned version by Go, or downloaded by pinned digest; else the same Rego in-process."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from installation.settings import Settings
from workbench.setup.step import Progress

VERSION = "1.22.2"
MODULE = f"github.com/open-policy-agent/opa@v{VERSION}"
# Releases are downloaded only when GLOVEBOX_OPA_URL and GLOVEBOX_OPA_SHA256 name one: an operator's mirror, pinned by digest.


def binary(settings: Settings) -> Path | None:
    """The OPA this installation uses, or None when it runs the policies in-process."""
    own = settings.tools / "bin" / "opa"
    if own.exists():
        return own
    found = shutil.which("opa", path=os.environ.get("PATH", "") + os.pathsep + str(Path.home() / "go" / "bin"))
    return Path(found) if found and _works(Path(found)) else None


def ensure(settings: Settings, progress: Progress) -> str:
    """Bring OPA, or say loudly that the policies run in-process."""
    if settings.policy_engine == "regopy":
        return "in-process, by setting"
    if (found := binary(settings)) is not None:
        return f"{_version(found)} at {found.name}"
    if _build(settings, progress) or _download(settings, progress):
        return f"{VERSION} made"
    fallback = settings.home / "settings.toml"
    text = fallback.read_text("utf-8") if fallback.exists() else ""
    fallback.write_text(f'policy_engine = "regopy"  # no OPA could be had at set-up\n{text}', "utf-8")
    return "NO OPA COULD BE HAD: the same policies run in-process (regopy); install Go or OPA to change that"


def _build(settings: Settings, progress: Progress) -> bool:
    go = shutil.which("go") or ("/usr/local/go/bin/go" if Path("/usr/local/go/bin/go").exists() else None)
    if go is None:
        return False
    progress(f"building OPA {VERSION} with Go (about a minute)")
    environ = {**os.environ, "GOBIN": str(settings.tools / "bin"), "CGO_ENABLED": "0"}
    done = subprocess.run([go, "install", MODULE], capture_output=True, text=True, check=False, env=environ)
    if done.returncode != 0:
        progress("Go could not build it: " + (done.stderr.strip().splitlines() or ["no message"])[-1])
    return done.returncode == 0 and _works(settings.tools / "bin" / "opa")


def _download(settings: Settings, progress: Progress) -> bool:
    url, expected = os.environ.get("GLOVEBOX_OPA_URL", ""), os.environ.get("GLOVEBOX_OPA_SHA256", "")
    if not url.startswith("https://") or not expected:
        return False
    progress(f"downloading OPA for {platform.machine()}")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - https only, and checked by digest
            data = answer.read()
    except (urllib.error.URLError, OSError) as away:
        progress(f"the download failed: {away}")
        return False
    if hashlib.sha256(data).hexdigest() != expected:
        progress("the download was dropped: it has another digest than the pinned one")
        return False
    target = settings.tools / "bin" / "opa"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".new").write_bytes(data)
    target.with_suffix(".new").chmod(0o755)
    target.with_suffix(".new").rename(target)
    return _works(target)


def _works(path: Path) -> bool:
    try:
        return subprocess.run([str(path), "version"], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False


def _version(path: Path) -> str:
    said = subprocess.run([str(path), "version"], capture_output=True, text=True, check=False, timeout=60).stdout
    return said.splitlines()[0].removeprefix("Version: ") if said else "unknown version"
