"""Two mount operations that the host's ``mount`` program cannot do; run as root, stand-alone, in a process of its own.

    host_tool.py terminals PID MOST        limit the pseudo-terminals of a container: they are counted machine-wide
    host_tool.py show SOURCE TARGET DISK_UID SHOWN_UID
                                           show a mounted home at TARGET with another owner (an id-mapped mount)

Both run before an analyst has the container. Nothing of the container is executed.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on x86-64 and arm64
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_CLONE_NEWUSER, _CLONE_NEWNS = 0x10000000, 0x00020000
_MOUNT_ATTR_IDMAP = 0x00100000
_MS_REMOUNT, _MS_NOSUID, _MS_NOEXEC = 32, 2, 8


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def limit_terminals(pid: int, most: int) -> None:
    """Remount the container's own devpts with ``max``. Its /dev belongs to root, so the path cannot have been changed."""
    space = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    _done(_LIBC.setns(space, _CLONE_NEWNS), "setns")
    options = f"gid=5,mode=620,ptmxmode=666,max={most}".encode()
    flags = _MS_REMOUNT | _MS_NOSUID | _MS_NOEXEC
    _done(_LIBC.mount(b"devpts", b"/dev/pts", b"devpts", flags, options), "remount of devpts")


def show(source: str, target: str, disk_uid: int, shown_uid: int) -> None:
    """Attach a copy of the mount at ``source`` to ``target``; files of ``disk_uid`` appear as ``shown_uid``'s, and back."""
    owners = _user_namespace(disk_uid, shown_uid)
    copy = _done(_LIBC.syscall(_OPEN_TREE, _AT_FDCWD, source.encode(), 1), "open_tree")
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, owners))
    _done(_LIBC.syscall(_MOUNT_SETATTR, copy, b"", _AT_EMPTY_PATH, attributes, 32), "mount_setattr")
    _done(_LIBC.syscall(_MOVE_MOUNT, copy, b"", _AT_FDCWD, target.encode(), 4), "move_mount")


def _user_namespace(inside: int, outside: int) -> int:
    """A descriptor of a user namespace that maps one id, kept alive by nothing but the descriptor."""
    ready, tell_ready = os.pipe()
    go, tell_go = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(0 if _LIBC.unshare(_CLONE_NEWUSER) == 0 and os.write(tell_ready, b".") and os.read(go, 1) else 1)
    os.read(ready, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write(f"{inside} {outside} 1\n")
    space = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    os.write(tell_go, b".")
    os.waitpid(child, 0)
    return space


def main(arguments: list[str]) -> int:
    if arguments[0] == "terminals":
        limit_terminals(int(arguments[1]), int(arguments[2]))
    elif arguments[0] == "show":
        show(arguments[1], arguments[2], int(arguments[3]), int(arguments[4]))
    else:
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
