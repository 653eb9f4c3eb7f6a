"""JupyterLab's own page, code and settings as the sandbox *image* has them, served by the door from the host.

A notebook server is under the analyst's control, so its scripts, styles and settings could carry data past every budget.
They are therefore taken from the image once, by running it with no network and nothing mounted, and never asked of a
sandbox again. It also makes them fast.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import os
import tarfile
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from egress_gate.doors.interface_script import MARK, SCRIPT

MOST_FILES = 20_000
MOST_BYTES = 512 * 1024**2
log = logging.getLogger("glovebox.doors")


class Interface:
    """One image's interface: files by URL path, and the answers of its API."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, str] = json.loads((folder / "answers.json").read_text("utf-8"))
        listed: dict[str, int] = json.loads((folder / "files.json").read_text("utf-8"))
        self._files = frozenset(listed)

    def file(self, relative: str) -> Path | None:
        """The host's copy of an asset by its path under the prefix."""
        if relative not in self._files:
            return None
        return self._folder / "files" / hashlib.sha256(relative.encode()).hexdigest()

    def answer(self, relative: str, prefix: str) -> str | None:
        """What the image's server answers at this path, for a server at ``prefix``."""
        text = self._answers.get(relative.rstrip("/"))
        return None if text is None else text.replace(MARK, prefix)

    @property
    def page(self) -> str:
        return "lab"

    def settings(self) -> list[dict[str, Any]]:
        found = json.loads(self._answers["lab/api/settings"])["settings"]
        return list(found)


def capture(image: str, folder: Path) -> Interface:
    """The interface of ``image``, from ``folder`` when it was captured before. Blocking, some seconds the first time.

    Raises DockerException or OSError when the image cannot be run, ValueError when what it gives is not an interface.
    """
    client = docker.from_env()
    try:
        found = str(client.images.get(image).id)
        place = folder / found.removeprefix("sha256:")[:24]
        if not (place / "files.json").exists():
            _store(_run(client, found), place)
        return Interface(place)
    finally:
        client.close()


def _run(client: docker.DockerClient, image: str) -> bytes:
    made: bytes = client.containers.run(
        image, ["python", "-c", SCRIPT], entrypoint="", remove=True, network_mode="none", read_only=True, cap_drop=["ALL"],
        security_opt=["no-new-privileges"], user="65534:65534", working_dir="/tmp",  # noqa: S108 - inside the container
        tmpfs={"/tmp": "rw,size=64m,mode=1777"}, pids_limit=256, mem_limit="1g",  # noqa: S108
        environment={"HOME": "/tmp", "JUPYTER_TOKEN": "reference"}, stdout=True, stderr=False,  # noqa: S108
    )  # fmt: skip
    return base64.b64decode(made)


def _store(bundle: bytes, place: Path) -> None:
    """Unpack under digests of the names, so that no name in the bundle becomes a path. ``files.json`` comes last."""
    files: dict[str, int] = {}
    (place / "files").mkdir(parents=True, exist_ok=True)
    answers: dict[str, str] | None = None
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None:
                continue
            data = stream.read()
            if member.name == "answers.json":
                answers = json.loads(data)
                continue
            files[member.name] = len(data)
            if len(files) > MOST_FILES or sum(files.values()) > MOST_BYTES:
                raise ValueError("the interface is larger than it can be")
            (place / "files" / hashlib.sha256(member.name.encode()).hexdigest()).write_bytes(data)
    if not answers or "lab" not in answers or "lab/api/settings" not in answers:
        raise ValueError("the image did not give its interface")
    (place / "answers.json").write_text(json.dumps(answers), "utf-8")
    fresh = place / ".files.json"
    fresh.write_text(json.dumps(files), "utf-8")
    os.replace(fresh, place / "files.json")


def ensure(image: str, folder: Path) -> Interface | None:
    """`capture`, or None with a line in the log: then narrow views stay closed and the open view asks the sandbox."""
    try:
        return capture(image, folder)
    except (DockerException, OSError, ValueError, KeyError) as error:
        log.warning("the interface of %s could not be taken from its image: %s", image, error)
        return None
