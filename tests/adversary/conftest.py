"""gVisor's tests need its program, and root to start an engine of their own that knows it."""

from __future__ import annotations

import os
import shutil

collect_ignore = [] if shutil.which("runsc") and os.geteuid() == 0 else ["test_isolation_gvisor.py"]
