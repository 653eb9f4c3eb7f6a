"""A picture that the analyst sent, written anew: what leaves are its pixels, coarser, in a PNG of the gate's own.

A process of its own, with limits, decodes it and can answer with nothing but pixels. The gate drops the lower half of each channel, where
figures would hide that no eye sees, and writes the file; text, profiles, thumbnails, what stood behind the end and what lay under full
transparency are left behind. What can be seen leaves: a person looks at it first.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from egress_gate.render.apart import run_apart
from egress_gate.render.figure_png import written
from installation.fault import Fault

PROGRAM = Path(__file__).with_name("image_decode.py")
SUFFIXES = (".png", ".jpg", ".jpeg")
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 12_000_000
MAX_SIDE = 10_000
SECONDS = 20
MEMORY = 512 * 1024 * 1024
# sixteen levels for each channel; the decoder does it too, before it mixes, but nobody has to believe it
LEVELS = bytes((value >> 4) * 17 for value in range(256))

WHY = {
    "kind": "It is neither a PNG nor a JPEG, whatever its name says.",
    "bytes": f"It has more than {MAX_BYTES // 1024**2} MiB.",
    "size": f"It has more than {MAX_PIXELS // 1_000_000} million pixels or a side of more than {MAX_SIDE}.",
    "frames": "It holds more than one picture.",
    "mode": "Its pixels are not plain grey, palette or RGB of at most eight bits.",
    "broken": "It is damaged or cut off.",
    "away": "Decoding it failed or took too long.",
}


class ImageRefused(Fault):
    """The picture cannot be written anew, so nothing of it leaves."""

    code = "image-refused"


def is_image(name: str) -> bool:
    return name.casefold().endswith(SUFFIXES)


def reencoded(data: bytes) -> bytes:
    """A PNG of the gate's own. What differs below the kept levels, or outside the pixels, gives the same bytes. Raises ImageRefused."""
    if len(data) > MAX_BYTES:
        raise _refused("bytes")
    if not data.startswith(BEGINNINGS):
        raise _refused("kind")
    head, _, rgb = _run(data).partition(b"\n")
    try:
        found = json.loads(head)
        if "refused" in found:
            raise _refused(str(found["refused"]))
        width, height = int(found["width"]), int(found["height"])
    except (ValueError, KeyError, TypeError) as odd:
        raise _refused("away", type(odd).__name__) from odd
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise _refused("size")
    if len(rgb) != width * height * 3:
        raise _refused("broken")
    return written(width, height, rgb.translate(LEVELS))


def _run(data: bytes) -> bytes:
    """In a process of its own: no environment, bounded time and memory, no file larger than nothing."""
    try:
        return run_apart(PROGRAM, data, SECONDS, MEMORY)
    except subprocess.CalledProcessError as broken:
        if broken.returncode < 0:
            raise _refused("away", f"signal {-broken.returncode}") from broken
        raise _refused("broken", broken.stderr[-300:].decode("utf-8", "replace")) from broken
    except (OSError, subprocess.SubprocessError) as broken:
        raise _refused("away", type(broken).__name__) from broken


def _refused(word: str, private: str = "") -> ImageRefused:
    return ImageRefused(
        "The picture cannot be written anew, so it cannot leave.",
        why=WHY.get(word, WHY["away"]),
        do="Save it as one plain PNG, or ask for a figure: the gate draws it from the protected table.",
        private=private,
    )
