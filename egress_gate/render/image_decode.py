"""Decodes one picture. Stand-alone: the standard library and Pillow; a process of its own with limits, because decoders are attacked.

Reads the bytes of a PNG or JPEG on standard input. Writes one line of JSON, width and height or what was wrong, then the pixels as RGB.
Ends with an error for whatever Pillow stumbles over.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings

from PIL import Image

FORMATS = ("PNG", "JPEG")
MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
MAX_BYTES = 20 * 1024 * 1024
MAX_SIDE = 10_000
MAX_PIXELS = 12_000_000
# the upper half of each channel: what the lower half held is gone before anything is mixed
KEPT = bytes((value >> 4) * 17 for value in range(256))


class Refused(Exception):
    """Why, as one of the words that `image.py` knows."""


def pixels(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB of the only frame, laid on white. Raises Refused; anything that Pillow raises means the same."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        width, height = picture.size
        if picture.format not in FORMATS:  # a JPEG with several pictures turns into another format
            raise Refused("frames")
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
            raise Refused("size")
        if getattr(picture, "n_frames", 1) != 1 or getattr(picture, "is_animated", False):
            raise Refused("frames")
        if picture.mode not in MODES:
            raise Refused("mode")
        picture.load()
        layer = picture.convert("RGBA").point(list(KEPT) * 4)
    ground = Image.new("RGBA", layer.size, "white")
    return width, height, Image.alpha_composite(ground, layer).convert("RGB").tobytes()


def main() -> int:
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    found: dict[str, object]
    rgb = b""
    try:
        width, height, rgb = pixels(sys.stdin.buffer.read(MAX_BYTES + 1))
        found = {"width": width, "height": height}
    except Refused as refused:
        found = {"refused": str(refused)}
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        found = {"refused": "size"}
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n" + rgb)
    return 0


if __name__ == "__main__":
    sys.exit(main())
