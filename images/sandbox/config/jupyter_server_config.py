"""How the notebook server inside a sandbox runs.

Convenience only: the analyst controls this server, so everything that must hold is enforced outside, by the doors.
The token comes in the environment variable JUPYTER_TOKEN, never in the arguments that other processes can read.
"""

import os

c = get_config()  # noqa: F821 - given by traitlets

c.ServerApp.sock = os.environ.get("GLOVEBOX_SERVE", "/run/glovebox/serve/jupyter.sock")
c.ServerApp.sock_mode = "0666"  # the folder above it is closed to everyone but the host's door
c.ServerApp.ip = "127.0.0.1"  # the default opens an INET socket to find out, which is refused here
c.ServerApp.base_url = os.environ.get("GLOVEBOX_PREFIX", "/")
c.ServerApp.root_dir = "/home/analyst"
c.ServerApp.open_browser = False
c.ServerApp.quit_button = False
c.ServerApp.allow_remote_access = True  # the Host header is the door's business
c.ServerApp.terminals_enabled = True
c.ServerApp.jpserver_extensions = {"jupyterlab": True, "jupyter_lsp": False, "jupyter_server_terminals": True}
c.KernelManager.transport = "ipc"
c.MultiKernelManager.default_kernel_name = "python3"
c.ServerApp.kernel_websocket_connection_class = "glovebox_told.kernels.TellingConnection"
c.FileContentsManager.delete_to_trash = False

c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
