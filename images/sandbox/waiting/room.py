"""Wait, with everything imported, for the one message that says whose notebook server to be; then be it.

Runs inside a sandbox that nobody has yet: it holds no secret and no name. The host connects once to a socket in the served
folder, sends one line of JSON with the environment, and the socket is gone before the notebook server starts.
"""

import importlib
import json
import os
import pathlib
import socket
import sys

CLAIM = "/run/glovebox/serve/claim.sock"
HOME = "/home/analyst"
MODULES = pathlib.Path(__file__).with_name("modules.txt")
ALLOWED = frozenset({"GLOVEBOX_DATA", "GLOVEBOX_INNER", "GLOVEBOX_PREFIX", "GLOVEBOX_PROJECT", "JUPYTER_TOKEN"})
LIMIT = 65536


def import_everything():
    """What a full start imports, as found when the image was built; one that is missing only costs time later."""
    for name in MODULES.read_text("utf-8").split():
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 - a module that cannot be imported alone is imported at the start
            continue


def wait_for_identity():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(CLAIM)
        os.chmod(CLAIM, 0o666)  # noqa: S103 - the folder above it is closed to everyone but the host
        server.listen(1)
        connection, _ = server.accept()
    os.unlink(CLAIM)
    with connection, connection.makefile("rb") as lines:
        told = json.loads(lines.readline(LIMIT))
        if set(told) != ALLOWED:
            sys.exit("the message was not what was expected")
        os.environ.update(told)
        connection.sendall(b"taken\n")


def main():
    import_everything()
    from jupyterlab.labapp import LabApp

    wait_for_identity()
    os.chdir(HOME)  # again: what was mounted here since the start is found only by a new look
    sys.argv = ["jupyter-lab"]
    LabApp.launch_instance()


if __name__ == "__main__":
    main()
