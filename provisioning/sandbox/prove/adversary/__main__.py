"""Run the attempts and print one JSON object per line; or be the neighbour. Facts come as JSON in the first argument.

``again_for``: seconds for which the chosen attempts are made again and again.
"""

from __future__ import annotations

import json
import sys
import time

from . import credentials, exhaustion, files, kernel, neighbours, network
from .trying import ATTEMPTS, run

_ALL = (network, kernel, files, credentials, neighbours, exhaustion)


def main(arguments: list[str]) -> int:
    facts = json.loads(arguments[0])
    if facts.get("role") == "be_a_neighbour":
        neighbours.be_a_neighbour(facts["table"], float(facts["seconds"]))
        return 0
    wanted, left_out = set(facts.get("only") or []), set(facts.get("left_out") or [])
    until = time.monotonic() + float(facts.get("again_for") or 0)
    while True:
        for attempt in ATTEMPTS:
            if attempt.id not in left_out and (not wanted or attempt.id in wanted or attempt.channel in wanted):
                sys.stdout.write(json.dumps(run(attempt, facts)) + "\n")
                sys.stdout.flush()
        if time.monotonic() >= until:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
