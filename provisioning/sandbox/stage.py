"""The mounts of a waiting sandbox: an empty home and an empty data folder now, the person's own when it is claimed.

    <run>/sandboxes/<id>/stage/     a shared tmpfs of the host's; what is mounted below it later appears inside
        home/                       bound to /home/analyst: the ext4 home comes here, shown with the sandbox's number
        data/                       bound read-only to /data: one overlay per dataset comes here
        shelf/                      bound read-only to /opt/shelf: the approved packages come here, if there are any

A waiting sandbox has a number of its own, not a person's. Files of the home keep the person's number on disk and are shown
with the sandbox's by an id-mapped mount.
"""

from __future__ import annotations

import os

from installation.settings import Settings
from provisioning.sandbox.hardening import Bind
from provisioning.sandbox.mounts import (
    DATA,
    HOME,
    INNER,
    SEALED,
    SERVE,
    SHELF,
    Folders,
    MountOrder,
    ensure_home,
    mount_command,
    only_user_of,
    overlay_command,
    shown,
)
from provisioning.sandbox.ownership import sign
from provisioning.sandbox.privilege import Privilege, host_tool, quoted


class StageMounts:
    """Makes a waiting sandbox's mounts, and fills them when it is claimed. `SandboxMounts.remove` undoes both."""

    def __init__(self, settings: Settings, privilege: Privilege) -> None:
        self._settings = settings
        self._privilege = privilege

    def prepare(self, sandbox_id: str, uid: int) -> list[Bind]:
        """Raises MountFault. The caller removes what was made when it fails."""
        folders = Folders.of(self._settings, sandbox_id)
        stage = folders.root / "stage"
        self._settings.sandboxes.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders.root.mkdir(mode=0o700)
        sign(folders.root)
        for path in (folders.serve, folders.inner, folders.home, folders.empty, stage):
            shown(path)
        owner = f"uid={os.geteuid()},gid={os.getegid()}"
        script = [
            mount_command(
                "tmpfs", f"size=1m,nr_inodes=64,mode=0711,uid={uid},gid={uid},{SEALED}", "tmpfs", folders.serve
            ),
            mount_command("tmpfs", f"size=64k,nr_inodes=16,mode=0755,{owner},{SEALED}", "tmpfs", folders.inner),
            mount_command("tmpfs", f"size=64k,nr_inodes=256,mode=0755,{owner},{SEALED}", "tmpfs", stage),
            quoted(["mount", "--make-shared", str(stage)]),
        ]
        self._privilege.shell("\n".join(script))
        for name in ("home", "data", "shelf"):
            shown(stage / name)
        return self.binds(sandbox_id)

    def binds(self, sandbox_id: str) -> list[Bind]:
        folders = Folders.of(self._settings, sandbox_id)
        stage = folders.root / "stage"
        return [
            Bind(str(folders.serve), SERVE, read_only=False),
            Bind(str(folders.inner), INNER, read_only=True),
            Bind(str(stage / "home"), HOME, read_only=False, slave=True),
            Bind(str(stage / "data"), DATA, read_only=True, slave=True),
            Bind(str(stage / "shelf"), SHELF, read_only=True, slave=True),
        ]

    def fill(self, order: MountOrder, shown_uid: int) -> list[Bind]:
        """Bring the person's home and datasets into the waiting sandbox; the datasets' mounts that appear inside.

        ``order.uid`` is the person's number, which their files carry on disk. Raises MountFault.
        """
        folders = Folders.of(self._settings, order.sandbox_id)
        stage = folders.root / "stage"
        ensure_home(order.home_image, order.home_bytes, order.uid)
        script = [mount_command("ext4", f"loop,{SEALED}", str(order.home_image), folders.home)]
        script += [quoted(host_tool("show", folders.home, stage / "home", order.uid, shown_uid))]
        for name, source in sorted(order.datasets.items()):
            shown(stage / "data" / name)
            script.append(overlay_command(source, folders.empty, stage / "data" / name))
        appeared = [
            Bind(str(stage / "data" / name), f"{DATA}/{name}", read_only=False) for name in sorted(order.datasets)
        ]
        if order.shelf is not None:
            script.append(overlay_command(order.shelf, folders.empty, stage / "shelf", programs=True))
            appeared.append(Bind(str(stage / "shelf"), SHELF, read_only=False))
        with only_user_of(order.home_image):
            self._privilege.shell("\n".join(script))
        return appeared
