"""An analyst who controls everything inside tries the ways out that were found open in plain containers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat

import pytest

from provisioning.sandbox.keeper import Opened
from provisioning.sandbox.mounts import Folders
from tests.unit.sandbox.rig import Rig

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]


# -- network ----------------------------------------------------------------------------------------------------------
def test_every_socket_family_but_unix_is_refused(standing_rig: Rig, standing: Opened) -> None:
    code = """
import json, socket
opened, errors = [], set()
for family in range(0, 256):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
            opened.append(family)
        except OSError as refusal:
            if family < 64: errors.add(refusal.errno)
print(json.dumps([sorted(set(opened)), sorted(errors)]))
"""
    opened, errors = json.loads(standing_rig.inside(standing, code))
    assert opened == [socket.AF_UNIX]
    assert errors == [95], "EOPNOTSUPP is what lets libzmq go on"


def test_there_is_no_interface_but_lo_and_no_resolver(standing_rig: Rig, standing: Opened) -> None:
    said = standing_rig.inside(standing, "print(open('/proc/net/dev').read(), open('/etc/resolv.conf').read())")
    interfaces = [line.split(":")[0].strip() for line in said.splitlines() if ":" in line]
    assert interfaces == ["lo"]
    nameservers = [line.split()[1] for line in said.splitlines() if line.strip().startswith("nameserver")]
    assert nameservers in ([], ["127.0.0.1"])


# -- two sandboxes ----------------------------------------------------------------------------------------------------
async def test_a_shared_dataset_carries_no_lock_from_one_to_the_other(rig: Rig) -> None:
    """flock is refused; record locks are not, and must not be seen across: each has its own overlay."""
    sender = await rig.open(rig.plan(person="ana", uid=20001))
    receiver = await rig.open(rig.plan(person="bob", uid=20002))
    lock = """
import fcntl, struct, time, sys
f = open('/data/nafld/nafld.csv')
try:
    fcntl.flock(f, fcntl.LOCK_SH); print('flock open')
except OSError as refusal: print('flock', refusal.errno)
fcntl.lockf(f, fcntl.LOCK_SH); print('locked', flush=True)
time.sleep(4)
"""
    probe = """
import fcntl, struct
f = open('/data/nafld/nafld.csv')
request = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)
print(struct.unpack('hhqqi', fcntl.fcntl(f, fcntl.F_GETLK, request))[0] == fcntl.F_UNLCK)
"""
    holding = asyncio.create_task(asyncio.to_thread(rig.inside, sender, lock))
    await asyncio.sleep(2)
    seen_by_other = rig.inside(receiver, probe)
    seen_by_own = rig.inside(sender, probe)
    said = await holding
    assert "flock 38" in said
    assert "locked" in said
    assert seen_by_own == "False\n", "the probe must be able to see a lock at all"
    assert seen_by_other == "True\n"


def test_watching_files_is_refused(standing_rig: Rig, standing: Opened) -> None:
    code = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.inotify_init(), ctypes.get_errno())"
    assert standing_rig.inside(standing, code) == "-1 38\n"


async def test_a_neighbour_is_not_found_by_abstract_socket_or_process_or_name(rig: Rig) -> None:
    ana = await rig.open(rig.plan(person="ana", uid=20001))
    bob = await rig.open(rig.plan(person="bob", uid=918273, project="kidney"))
    serve = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('\\0meet'); s.listen(); time.sleep(4)"
    serving = asyncio.create_task(asyncio.to_thread(rig.inside, bob, serve))
    await asyncio.sleep(1.5)
    look = """
import glob, os, socket
try: socket.socket(socket.AF_UNIX).connect('\\0meet'); print('met')
except OSError as refusal: print('alone', refusal.errno)
text = ''
for root in ('/proc', '/sys', '/etc', '/run', '/data', '/home', '/tmp', '/dev'):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path): text += path + ' -> ' + os.readlink(path) if os.access(path, os.R_OK) else path
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                text += path + ' ' + os.read(fd, 65536).decode('latin-1'); os.close(fd)
            except OSError: pass
text += ' '.join(f'{k}={v}' for k, v in os.environ.items())
print('read enough', len(text) > 100000)
for word in %r: print(word[::-1], word[::-1] in text)
"""
    secrets = [
        bob.sandbox_id,
        bob.container[:12],
        "918273",
        "kidney",
        str(rig.settings.home),
    ]
    said = rig.inside(ana, look % ([word[::-1] for word in secrets],))  # reversed: the probe must not find itself
    await serving
    assert "alone 111" in said, said
    assert [line for line in said.splitlines() if line.endswith(" True")] == ["read enough True"], said


def test_the_hosts_name_is_nowhere_a_name_is_told(standing_rig: Rig, standing: Opened) -> None:
    """Searched by whole words where machines tell names: a host may be called like a word that any file holds."""
    look = """
import glob, os, re, socket
told = [socket.gethostname(), socket.getfqdn(), *os.uname(), *os.environ.values()]
for path in ('/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/etc/mailname', '/proc/sys/kernel/hostname',
             '/proc/sys/kernel/domainname', *glob.glob('/proc/[0-9]*/environ'), *glob.glob('/proc/[0-9]*/cmdline')):
    try: told.append(open(path, encoding='latin-1').read())
    except OSError: pass
words = {word for text in told for word in re.split('[^A-Za-z0-9-]+', text)}
print('own', 'sandbox' in words, 'read', len(words) > 20, 'host', %r[::-1] in words)
"""
    said = standing_rig.inside(standing, look % os.uname().nodename.split(".")[0][::-1])
    assert said.strip() == "own True read True host False"


async def test_no_hub_credential_or_host_name_is_inside(standing_rig: Rig, standing: Opened) -> None:
    code = "import os; print(sorted(os.environ), os.uname().nodename, open('/proc/1/environ').read())"
    said = standing_rig.inside(standing, code)
    assert "JUPYTERHUB" not in said.upper().replace("JUPYTER_", "")
    assert socket.gethostname() not in said.replace("sandbox", "")
    assert "'sandbox'" in said or "sandbox" in said


# -- the served socket's folder ---------------------------------------------------------------------------------------
async def test_a_socket_replaced_by_a_link_leads_the_host_nowhere(rig: Rig) -> None:
    """The tmpfs is mounted nosymfollow, so even a naive connect of the host does not follow what the analyst put there."""
    opened = await rig.open()
    host_service = rig.settings.run / "gate.sock"
    with socket.socket(socket.AF_UNIX) as service:
        folder = os.open(rig.settings.run, os.O_PATH)
        service.bind(f"/proc/self/fd/{folder}/gate.sock")
        service.listen()
        target = str(host_service)
        rig.inside(
            opened,
            "import os; os.remove('/run/glovebox/serve/jupyter.sock'); "
            f"os.symlink({target!r}, '/run/glovebox/serve/jupyter.sock')",
        )
        serve = os.open(Folders.of(rig.settings, opened.sandbox_id).serve, os.O_PATH)
        assert stat.S_ISLNK(os.stat("jupyter.sock", dir_fd=serve, follow_symlinks=False).st_mode)
        with socket.socket(socket.AF_UNIX) as naive, pytest.raises(OSError):
            naive.connect(f"/proc/self/fd/{serve}/jupyter.sock")
        os.close(serve)
        os.close(folder)


async def test_the_served_folder_cannot_be_filled_or_run_from(standing_rig: Rig, standing: Opened) -> None:
    code = """
import os
made = 0
try:
    for made in range(1000): open(f'/run/glovebox/serve/{made}', 'w').close()
except OSError as full: print('inodes', made < 64, full.errno, flush=True)
for n in range(made): os.remove(f'/run/glovebox/serve/{n}')
try: open('/run/glovebox/serve/big', 'wb').write(b'x' * 2**21)
except OSError as full: print('bytes', full.errno, flush=True)
os.remove('/run/glovebox/serve/big')
for folder in ('/run/glovebox/serve', '/home/analyst', '/tmp', '/dev/shm'):
    path = folder + '/run.sh'
    open(path, 'w').write('#!/bin/sh\\necho ran'); os.chmod(path, 0o755)
    try: os.execv(path, [path]) if os.fork() == 0 else os.wait()
    except OSError as refusal: print('exec', refusal.errno, flush=True); os._exit(0)
    os.remove(path)
try: open('/run/glovebox/inner/x', 'w')
except OSError as refusal: print('inner', refusal.errno)
"""
    lines = standing_rig.inside(standing, code).splitlines()
    assert "inodes True 28" in lines
    assert "bytes 28" in lines
    assert lines.count("exec 13") == 4, lines
    assert "ran" not in lines
    assert any(line in ("inner 30", "inner 13") for line in lines)
