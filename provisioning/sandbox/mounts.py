"""What a sandbox sees of the host: its door sockets, its home, its datasets; made before a start, removed after.

Every verb is an "ensure": it can run twice, and `sweep` in `sweeping.py` clears what a crash left. Host code here never
goes below ``serve/`` or ``home/``, the two folders that a sandbox can write: it mounts there, unmounts there, no more.

    <run>/sandboxes/<id>/           0700, the host's alone
        door.json                   0600, what the doors must know
        owner                       the process that made it
        serve/                      tmpfs, written by the sandbox: it serves jupyter.sock there
        inner/                      tmpfs, read-only inside: the inner door's socket
        data/<dataset>/             a read-only overlay of its own, or flock and inotify join two sandboxes
        home/                       the ext4 image of this person and project
        empty/                      the overlay's second layer
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from installation.settings import Settings
from provisioning.sandbox.errors import MountFault
from provisioning.sandbox.hardening import Bind
from provisioning.sandbox.ownership import sign
from provisioning.sandbox.privilege import Privilege, run_all

SEALED = "nosuid,nodev,noexec,nosymfollow"
SERVE = "/run/glovebox/serve"
INNER = "/run/glovebox/inner"
DATA = "/data"
HOME = "/home/analyst"
SHELF = "/opt/shelf"
HOME_INODES = 65536
_ID = re.compile(r"[0-9a-f]{8,64}")
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Folders:
    """Where one sandbox's parts lie on the host. Raises ValueError for an id that is not lower-case hex."""

    root: Path

    @classmethod
    def of(cls, settings: Settings, sandbox_id: str) -> Folders:
        if not _ID.fullmatch(sandbox_id):
            raise ValueError(f"not a sandbox id: {sandbox_id!r}")
        return cls(settings.sandboxes / sandbox_id)

    @property
    def door_file(self) -> Path:
        return self.root / "door.json"

    @property
    def serve(self) -> Path:
        return self.root / "serve"

    @property
    def inner(self) -> Path:
        return self.root / "inner"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def shelf(self) -> Path:
        return self.root / "shelf"

    @property
    def empty(self) -> Path:
        return self.root / "empty"


@dataclass(frozen=True)
class MountOrder:
    """What to mount for one sandbox. ``datasets``: dataset name to the version's folder on the host. ``shelf``: the packages' folder."""

    sandbox_id: str
    uid: int
    home_image: Path
    home_bytes: int
    datasets: Mapping[str, Path] = field(default_factory=dict)
    shelf: Path | None = None

    def __post_init__(self) -> None:
        for name in self.datasets:
            if not _DATASET.fullmatch(name):
                raise ValueError(f"not a dataset name: {name!r}")


def home_image(settings: Settings, person: str, project: str) -> Path:
    """The file that holds a person's home in a project; two different pairs never share a name."""
    parts = (quote(part, safe="").replace("-", "%2D").replace(".", "%2E") for part in (person, project))
    return settings.homes / ("-".join(parts) + ".ext4")


class SandboxMounts:
    """Makes and removes the mounts of one installation's sandboxes."""

    def __init__(self, settings: Settings, privilege: Privilege) -> None:
        self._settings = settings
        self._privilege = privilege

    def prepare(self, order: MountOrder) -> list[Bind]:
        """Ensure every mount of ``order`` and say how they are bound. Raises MountFault, leaving nothing behind."""
        folders = Folders.of(self._settings, order.sandbox_id)
        self._make_folders(folders, order)
        ensure_home(order.home_image, order.home_bytes, order.uid)
        try:
            with only_user_of(order.home_image):
                self._mount(folders, order)
        except MountFault:
            self.remove(order.sandbox_id)
            raise
        return self.binds(order)

    def binds(self, order: MountOrder) -> list[Bind]:
        """How the sandbox's folders are bound, without changing anything."""
        folders = Folders.of(self._settings, order.sandbox_id)
        # Already read-only at the source: asked for again by the engine, the other flags of the mount would be dropped.
        data = [Bind(str(folders.data / name), f"{DATA}/{name}", read_only=False) for name in sorted(order.datasets)]
        if order.shelf is not None:
            data.append(Bind(str(folders.shelf), SHELF, read_only=False))
        return [
            Bind(str(folders.serve), SERVE, read_only=False),
            Bind(str(folders.inner), INNER, read_only=True),
            Bind(str(folders.home), HOME, read_only=False),
            *data,
        ]

    def remove(self, sandbox_id: str) -> None:
        """Ensure that nothing of this sandbox is mounted and its folder is gone. The home's image stays."""
        folders = Folders.of(self._settings, sandbox_id)
        mounted = mounts_below(folders.root)
        # A lazy unmount never waits for a hung process, and the container is gone by now.
        run_all(self._privilege, [["umount", "-l", "--", str(path)] for path in reversed(mounted)])
        if left := mounts_below(folders.root):
            raise MountFault(
                "A sandbox's folder was not removed.",
                why=f"{len(left)} of its mounts could not be undone.",
                do="Ask the operator to unmount what is listed in the log; starting again is safe meanwhile.",
                private=", ".join(map(str, left)),
            )
        if folders.root.exists():
            shutil.rmtree(folders.root)  # nothing in it was ever written by a sandbox: those parts were mounts

    def _make_folders(self, folders: Folders, order: MountOrder) -> None:
        self._settings.sandboxes.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders.root.mkdir(exist_ok=True, mode=0o700)
        folders.root.chmod(0o700)
        sign(folders.root)
        for path in (folders.serve, folders.inner, folders.home, folders.data, folders.empty):
            shown(path)
        for name in order.datasets:
            shown(folders.data / name)
        if order.shelf is not None:
            shown(folders.shelf)

    def _mount(self, folders: Folders, order: MountOrder) -> None:
        present = set(mounts_below(folders.root))
        owner, script = f"uid={order.uid},gid={order.uid}", []
        serve = f"size=1m,nr_inodes=64,mode=0711,{owner},{SEALED}"
        inner = f"size=64k,nr_inodes=16,mode=0755,uid={os.geteuid()},gid={os.getegid()},{SEALED}"
        if folders.serve not in present:
            script.append(mount_command("tmpfs", serve, "tmpfs", folders.serve))
        if folders.inner not in present:
            script.append(mount_command("tmpfs", inner, "tmpfs", folders.inner))
        if folders.home not in present:
            script.append(mount_command("ext4", f"loop,{SEALED}", str(order.home_image), folders.home))
        for name, source in sorted(order.datasets.items()):
            if folders.data / name not in present:
                script.append(overlay_command(source, folders.empty, folders.data / name))
        if order.shelf is not None and folders.shelf not in present:
            script.append(overlay_command(order.shelf, folders.empty, folders.shelf, programs=True))
        if script:
            self._privilege.shell("\n".join(script))


def mount_command(kind: str, options: str, source: str, target: Path) -> str:
    """Shell text of one mount."""
    return shlex.join(["mount", "-t", kind, "-o", options, "--", source, str(target)])


def overlay_command(source: Path, empty: Path, target: Path, *, programs: bool = False) -> str:
    """Layers are named by descriptor: a host path would stand in the sandbox's list and may hold any sign.

    ``programs``: libraries in it may be mapped to run, as those of approved packages are."""
    opened = f"exec 8<{shlex.quote(str(source))} 9<{shlex.quote(str(empty))}"
    sealed = SEALED.replace(",noexec", "") if programs else SEALED
    options = f"ro,{sealed},lowerdir=/proc/self/fd/8:/proc/self/fd/9"
    return f"{opened}\n{mount_command('overlay', options, 'overlay', target)}\nexec 8<&- 9<&-"


# -- homes ------------------------------------------------------------------------------------------------------------
def ensure_home(image: Path, size: int, uid: int) -> None:
    """Ensure the ext4 image of a home, owned by ``uid`` inside; made whole or not at all. An existing one stays."""
    if image.exists():
        return
    image.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = image.with_name(image.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.truncate(size)
        inodes = str(max(256, min(HOME_INODES, size // 16384)))
        options = f"root_owner={uid}:{uid},lazy_itable_init=1,lazy_journal_init=1"
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", inodes, "-E", options, str(part))
        _run("debugfs", "-w", "-R", "rmdir lost+found", str(part))
        os.replace(part, image)
    except OSError as full:
        part.unlink(missing_ok=True)
        raise MountFault(
            "The home of this project was not made.",
            why=f"The host's disk refused it: {full.strerror}.",
            do="Ask the operator to look at the free space, then start the workspace again.",
            private=str(full),
        ) from full


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise MountFault(
            "The home of this project was not made.",
            why=f"The program {program} is not installed on the host.",
            do="Ask the operator to install the package e2fsprogs, then start the workspace again.",
        )
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MountFault(
            "The home of this project was not made.",
            why=f"The program {program} ended with an error.",
            do="Ask the operator to look at the free space and the hub's log, then start the workspace again.",
            private=done.stderr,
        )


@contextmanager
def only_user_of(image: Path) -> Iterator[None]:
    """Refuses a home that another sandbox has mounted: two mounts of one image would destroy it."""
    with image.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise _home_in_use() from busy
        for _ in range(20):
            if not _attached(image):
                break
            time.sleep(0.1)
        else:
            raise _home_in_use()
        yield


def _attached(image: Path) -> bool:
    """Whether a loop device holds the image. The kernel says which file; no sandbox can write that."""
    wanted = str(image)
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if backing.read_text("utf-8", "replace").strip() == wanted:
                return True
        except OSError:
            continue  # detached while we looked
    return False


def _home_in_use() -> MountFault:
    return MountFault(
        "The workspace was not started.",
        why="The home of this project is in use by another workspace of yours.",
        do="Stop the other workspace, then start this one again.",
    )


# -- what is mounted --------------------------------------------------------------------------------------------------
def shown(folder: Path) -> None:
    """Ensure a folder that a sandbox looks into. Its mode is set and not left to the caller's umask, which the hub has narrow."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def mounts_below(folder: Path, mountinfo: str | None = None) -> list[Path]:
    """Mount points at or below ``folder``, in the order they were made."""
    text = Path("/proc/self/mountinfo").read_text("utf-8") if mountinfo is None else mountinfo
    points = (Path(unescape(line.split(" ")[4])) for line in text.splitlines())
    return [point for point in points if point == folder or folder in point.parents]


def unescape(field_text: str) -> str:
    """Undo the kernel's ``\\040`` escapes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field_text)
