"""At build time: start a notebook server as far as it goes without a browser, and write down what it imported."""

import pathlib
import sys
import tempfile

from jupyterlab.labapp import LabApp

with tempfile.TemporaryDirectory() as folder:
    server = LabApp.initialize_server(
        argv=[f"--ServerApp.sock={folder}/s", f"--ServerApp.root_dir={folder}", "--ServerApp.allow_root=True"]
    )
    server.kernel_spec_manager.get_all_specs()

STARTED = sorted(name for name in sys.modules if not name.startswith(("_", "__main__", "encodings")))
pathlib.Path(sys.argv[1]).write_text("\n".join(STARTED) + "\n", "utf-8")
