"""The sandbox image, made in steps that each run once: the base, the wheels, the packages, the image.

Every step is an "ensure": it is keyed by a digest of all that goes into it, so a second run looks the key up and
returns in milliseconds, and a run that was cut short continues. The image itself is built with no network at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from installation.settings import CHECKOUT, Settings
from provisioning.sandbox.errors import ImageFault

Progress = Callable[[str], None]

IMAGES = CHECKOUT / "images"
LOCK = IMAGES / "sandbox" / "requirements.txt"
KEY_LABEL = "glovebox.key"
STAGE_LABEL = "glovebox.stage"
BASE_IMAGE = "python:3.13-slim"
PYTHON = "3.13"
_TREE = "trixie"


def silent(_: str) -> None:
    """A progress callback for callers that show none."""


# -- the base ---------------------------------------------------------------------------------------------------------
def base_tag() -> str:
    """``glovebox/base:<digest>`` over the recipe and the package lists."""
    return f"glovebox/base:{_digest_of(_files_under(IMAGES / 'base'))[:12]}"


def build_base(settings: Settings, progress: Progress = silent, *, prefer: str = "registry") -> str:
    """Ensure the base image; its tag. The official Python image where a registry answers, else Debian's packages.

    ``prefer="debian"`` goes straight to mmdebstrap. Raises ImageFault when neither can be had.
    """
    client = _client()
    tag = base_tag()
    if _image_id(client, tag):
        return tag
    refused = ""
    if prefer == "registry":
        try:
            progress("asking for the official Python image")
            client.images.pull(BASE_IMAGE)
            progress("adding Debian packages to the official Python image")
            _build(client, _base_context(), tag, {"PACKAGES": " ".join(_packages("packages.txt"))}, network=None)
        except (APIError, BuildError, ImageNotFound) as refusal:
            refused = str(refusal)
        else:
            return tag
    progress("making the base from Debian packages (about a minute)")
    _debootstrap(client, tag, settings, refused)
    return tag


def _base_context() -> io.BufferedRandom:
    return _context([(IMAGES / "base" / "Dockerfile", "Dockerfile")])


def _packages(*names: str) -> list[str]:
    lines = [line.strip() for name in names for line in (IMAGES / "base" / name).read_text("utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _debootstrap(client: docker.DockerClient, tag: str, settings: Settings, refused: str) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise ImageFault(
            "The sandbox's base image could not be made.",
            why="No container registry answered, and mmdebstrap is not installed.",
            do="Install mmdebstrap (apt-get install mmdebstrap) or let the engine reach a registry, then run again.",
            private=refused,
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="base-") as folder:
        tree = Path(folder) / "base.tar"
        command = [program, "--quiet", "--variant=essential", "--include=" + ",".join(_all_packages())]
        for left_out in ("doc", "man", "locale", "info"):
            command += [f"--dpkgopt=path-exclude=/usr/share/{left_out}/*"]
        command += [
            '--customize-hook=find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +',
            '--customize-hook=rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/machine-id '
            '"$1"/etc/apt/sources.list "$1"/var/log/apt "$1"/var/log/dpkg.log',
            _TREE,
            str(tree),
        ]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ImageFault(
                "The sandbox's base image could not be made.",
                why="mmdebstrap ended with an error: " + (made.stderr.strip().splitlines() or ["no message"])[-1],
                do="Look at the message, check that Debian packages can be reached, and run again.",
                private=f"{refused}\n{made.stderr}",
            )
        repository, version = tag.split(":")
        client.api.import_image_from_file(str(tree), repository=repository, tag=version)


def _all_packages() -> list[str]:
    return _packages("packages.txt", "packages-python.txt")


# -- the wheels -------------------------------------------------------------------------------------------------------
def wheelhouse(settings: Settings) -> Path:
    """Where the wheels of this lock and machine lie; the folder's name is the lock's digest."""
    key = _digest([LOCK.read_bytes(), platform.machine().encode()])[:16]
    return settings.home / "wheelhouse" / key


def download(lock: Path, into: Path, wheels: Path | None = None) -> None:
    """Every wheel of a hash-locked file for the sandbox's Python, each checked against its hash. Raises ImageFault.

    ``wheels``: a folder to take them from, with no index asked."""
    if importlib.util.find_spec("pip") is None:
        raise ImageFault(
            "The sandbox's packages were not fetched.",
            why="This Python environment has no pip.",
            do="Remove the folder .venv and run the command again: it is made anew with pip.",
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    for option, values in (("--abi", ("cp313", "abi3", "none")), ("--platform", tuple(_platforms()))):
        command += [part for value in values for part in (option, value)]
    if wheels is not None:
        command += ["--no-index", "--find-links", str(wheels)]
    fetched = subprocess.run(
        [*command, "--dest", str(into), "--requirement", str(lock)], capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        raise ImageFault(
            "The sandbox's packages were not fetched.",
            why="pip ended with an error: " + (fetched.stderr.strip().splitlines() or ["no message"])[-1],
            do="Check that the Python package index can be reached, then run the command again; it continues.",
            private=fetched.stderr,
        )


def fetch_wheels(settings: Settings, progress: Progress = silent) -> Path:
    """Ensure every locked wheel for the sandbox's Python, each checked against its hash. Raises ImageFault."""
    folder = wheelhouse(settings)
    if (folder / "requirements.txt").exists():
        return folder
    progress("fetching the sandbox's packages (hash-locked)")
    folder.mkdir(parents=True, exist_ok=True)
    download(LOCK, folder)
    # Written last: its presence says that the folder is complete.
    shutil.copyfile(LOCK, folder / "requirements.txt.part")
    os.replace(folder / "requirements.txt.part", folder / "requirements.txt")
    return folder


def _platforms() -> Iterator[str]:
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    for minor in range(36, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
    yield f"manylinux2014_{machine}"
    yield f"manylinux2010_{machine}"
    yield f"manylinux1_{machine}"


# -- the packages and the image ---------------------------------------------------------------------------------------
def packages_tag(base: str) -> str:
    """``glovebox/packages:<digest>`` over base, lock and recipe."""
    recipe = _digest_of(_files_under(IMAGES / "packages"))
    return f"glovebox/packages:{_digest([base.encode(), LOCK.read_bytes(), recipe.encode()])[:12]}"


def build_packages(settings: Settings, progress: Progress = silent, *, base: str, wheels: Path | None = None) -> str:
    """Ensure the image with the locked packages, built without network; its tag. Raises ImageFault."""
    client = _client()
    tag = packages_tag(base)
    if _image_id(client, tag):
        return tag
    wheels = wheels or fetch_wheels(settings, progress)
    progress("installing the locked packages without network (a minute or two)")
    parts = [(IMAGES / "packages" / "Dockerfile", "Dockerfile")]
    parts += [(path, f"wheelhouse/{path.name}") for path in sorted(wheels.iterdir())]
    _build_sealed(client, parts, tag, {"BASE": base}, tag)
    _drop_stages(client)
    return tag


def image_key(packages: str) -> str:
    """A digest over everything that goes into the image: packages, Dockerfile, configuration, client sources."""
    return _digest([packages.encode(), _digest_of(_files_under(IMAGES / "sandbox")).encode()])


def build_image(settings: Settings, progress: Progress = silent, *, base: str, wheels: Path | None = None) -> str:
    """Ensure ``settings.sandbox.image``, built without network; its image id. Raises ImageFault."""
    client = _client()
    key = image_key(packages_tag(base))
    keyed = f"glovebox/sandbox:{key[:12]}"
    present = _image_id(client, keyed)
    if present is None:
        packages = build_packages(settings, progress, base=base, wheels=wheels)
        progress("building the sandbox image without network")
        parts = [(path, str(path.relative_to(IMAGES / "sandbox"))) for path in _files_under(IMAGES / "sandbox")]
        present = _build_sealed(client, parts, keyed, {"PACKAGES": packages}, key)
    if _image_id(client, settings.sandbox.image) != present:
        repository, _, version = settings.sandbox.image.rpartition(":")
        client.api.tag(keyed, repository, version)
    return present


def image_id(settings: Settings, client: docker.DockerClient) -> str:
    """The id of the image that sandboxes are started from. Raises ImageFault when it is not there."""
    found = _image_id(client, settings.sandbox.image)
    if found is None:
        raise ImageFault(
            "The sandbox image is not on this machine.",
            why="The set-up has not built it, or it was removed.",
            do="Run the set-up again: it builds what is missing.",
        )
    return found


def ensure_image(settings: Settings, progress: Progress = silent) -> str:
    """All steps in order; the image's id."""
    return build_image(settings, progress, base=build_base(settings, progress))


def _build_sealed(
    client: docker.DockerClient, parts: list[tuple[Path, str]], tag: str, arguments: dict[str, str], key: str
) -> str:
    try:
        return _build(client, _context(parts), tag, arguments, network="none", labels={KEY_LABEL: key})
    except (APIError, BuildError) as failure:
        raise ImageFault(
            "The sandbox image was not built.",
            why=f"The engine said: {failure}.",
            do="Look at the message, correct what it names, and run the command again; it continues.",
            private="".join(str(line.get("stream", "")) for line in getattr(failure, "build_log", [])),
        ) from failure


def _build(
    client: docker.DockerClient,
    context: io.BufferedRandom,
    tag: str,
    arguments: dict[str, str],
    *,
    network: str | None,
    labels: dict[str, str] | None = None,
) -> str:
    with context:
        image, _ = client.images.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs=arguments,
            network_mode=network,
            labels=labels,
            rm=True,
            forcerm=True,
        )
    return str(image.id)


def _drop_stages(client: docker.DockerClient) -> None:
    """The stage that unpacked the wheels is not needed again: the key decides, not the engine's cache."""
    for image in client.images.list(filters={"label": f"{STAGE_LABEL}=wheels", "dangling": True}):
        try:
            client.images.remove(str(image.id))
        except APIError as kept:
            if kept.status_code not in (404, 409):
                raise


def _context(parts: Iterable[tuple[Path, str]]) -> io.BufferedRandom:
    """A build context as one tar with neutral owners and times, so that equal inputs make equal layers."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller, who closes it
    with tarfile.open(fileobj=spool, mode="w") as tar:
        for path, name in parts:
            member = tar.gettarinfo(str(path), arcname=name)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.mode = 0, 0o644
            with path.open("rb") as content:
                tar.addfile(member, content)
    spool.seek(0)
    return spool


def _files_under(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sorted(path for path in found if "__pycache__" not in path.parts and path.name != "requirements.in")


def _digest_of(paths: Iterable[Path]) -> str:
    return _digest(part for path in paths for part in (str(path.relative_to(IMAGES)).encode(), path.read_bytes()))


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def _image_id(client: docker.DockerClient, tag: str) -> str | None:
    try:
        return str(client.images.get(tag).id)
    except ImageNotFound:
        return None


def _client() -> docker.DockerClient:
    try:
        return docker.from_env(timeout=600)
    except DockerException as absent:
        raise ImageFault(
            "The sandbox image was not made.",
            why="The Docker engine does not answer.",
            do="Start Docker (systemctl start docker), make sure that you may use it, and run the command again.",
            private=str(absent),
        ) from absent
