"""Draws one figure. Stand-alone: the standard library and vl-convert; a process of its own with limits, so that a drawing that runs wild
takes nothing else with it.

Reads one JSON job on standard input: a Vega-Lite specification with its data inside, or an SVG to make a PNG of. Nothing is fetched: the
list of allowed addresses is empty, and the specification that the gate writes names none.
"""

from __future__ import annotations

import base64
import json
import resource
import sys

import vl_convert

MAX_JOB = 16 * 1024 * 1024
SCALE = 2.0
VEGA_LITE = "5.21"


def main() -> int:
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.loads(sys.stdin.buffer.read(MAX_JOB))
    if "spec" in job:
        made = {"svg": vl_convert.vegalite_to_svg(job["spec"], vl_version=VEGA_LITE, allowed_base_urls=[])}
    else:
        made = {"png": base64.b64encode(vl_convert.svg_to_png(job["svg"], scale=SCALE)).decode()}
    sys.stdout.write(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
