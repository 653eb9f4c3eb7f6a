"""The public proxy, the sandbox image, and for the tests a browser and a second runtime."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from installation.settings import CHECKOUT, Settings
from provisioning.sandbox import image
from workbench.errors import SetupFault
from workbench.setup import debian
from workbench.setup.step import Progress

PROXY = CHECKOUT / "proxy"


def proxy_command(settings: Settings) -> Path:
    return settings.tools / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy"


def ensure_proxy(settings: Settings, progress: Progress) -> str:
    """``npm ci`` of the locked proxy into the state folder. Raises SetupFault."""
    debian.ensure_programs({"node": "nodejs", "npm": "npm"}, progress)
    target = settings.tools / "proxy"
    key = hashlib.sha256((PROXY / "package-lock.json").read_bytes()).hexdigest()
    mark = target / ".key"
    if mark.exists() and mark.read_text("ascii") == key and proxy_command(settings).exists():
        return "there"
    progress("installing from the lock file")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PROXY / name, target / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupFault(
            "The public proxy was not installed.",
            why=" ".join(done.stderr.strip().splitlines()[-3:]),
            do="Check that the npm registry can be reached, then run the same command again.",
        )
    mark.write_text(key, "ascii")
    return "installed"


def ensure_image(settings: Settings, progress: Progress) -> str:
    """The sandbox image, with mmdebstrap brought for where no container registry answers."""
    if not _base_present():
        debian.ensure_programs({"mmdebstrap": "mmdebstrap"}, progress)
    return image.ensure_image(settings, progress).removeprefix("sha256:")[:12]


def _base_present() -> bool:
    client = docker.from_env()
    try:
        client.images.get(image.base_tag())
    except ImageNotFound:
        return False
    finally:
        client.close()
    return True


def ensure_browser(settings: Settings, progress: Progress) -> str:
    """What only tests need: a browser, and a software module that speaks PKCS#11."""
    debian.ensure_programs({"chromium": "chromium", "softhsm2-util": "softhsm2"}, progress)
    said = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip() or "there"


def ensure_mariadb(settings: Settings, progress: Progress) -> str:
    """MariaDB's server for the tests of registration from one: its programs only, no service."""
    debian.ensure_programs({"mariadbd": "mariadb-server-core", "my_print_defaults": "mariadb-client-core"}, progress)
    said = subprocess.run(["mariadbd", "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip() or "there"


def ensure_gvisor(settings: Settings, progress: Progress) -> str:
    """gVisor's ``runsc`` for its own tests, from Debian. Where it is not to be had the other tests still run, and its own fail."""
    try:
        debian.ensure_programs({"runsc": "runsc"}, progress)
    except SetupFault as fault:
        return f"NO GVISOR, its tests will fail: {fault.what} {fault.why}"
    said = subprocess.run(["runsc", "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip().splitlines()[0] if said.strip() else "there"
