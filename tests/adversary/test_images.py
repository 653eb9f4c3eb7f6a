"""Ways to carry something out in a picture: behind its end, in its texts, below what an eye sees, and forms that are something else."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from _pytest.monkeypatch import MonkeyPatch
from PIL import Image, PngImagePlugin

from egress_gate.domain.item import Item, ItemRefused, Kind, checked_items
from egress_gate.domain.request import State
from egress_gate.render.image import MAX_BYTES, MAX_SIDE, ImageRefused, reencoded
from egress_gate.service.check import check, claim
from egress_gate.service.lanes import file
from egress_gate.service.lanes.file import FileLane
from egress_gate.service.lanes.lane import LaneContext
from egress_gate.service.release import release
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import releases, requests
from egress_gate.store.requests import RequestRow
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world

SECRET = b"the-secret-of-patient-17"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(picture: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 1) -> Image.Image:
    """Every level of every channel, so that nothing is lost by luck."""
    return Image.frombytes(mode, size, random.Random(seed).randbytes(size[0] * size[1] * len(mode)))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def within(png: bytes, name: bytes, body: bytes) -> bytes:
    """`png` with one chunk more, before its data."""
    at = png.index(b"IDAT") - 4
    return png[:at] + chunk(name, body) + png[at:]


def bare(width: int, height: int, depth: int = 8, kind: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return SIGNATURE + header + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("secret.txt", SECRET)
    return out.getvalue()


def described() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", SECRET.decode())
    info.add_text("Packed", SECRET.decode() * 50, zip=True)
    info.add_itxt("Title", SECRET.decode())
    return info


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    return saved(noise(), exif=exif.tobytes())


@pytest.mark.parametrize(
    "hidden",
    [
        saved(noise()) + SECRET,
        saved(noise()) + zipped(),
        saved(noise(), pnginfo=described()),
        saved(noise(), icc_profile=SECRET),
        with_exif(),
        within(saved(noise()), b"prVt", SECRET),
        within(saved(noise()), b"tIME", SECRET[:7]),
        saved(noise(), compress_level=0),
        saved(noise(), dpi=(1234, 4321)),
    ],
)
def test_nothing_but_pixels_leaves(hidden: bytes) -> None:
    """However it was packed and whatever was packed beside it, the same pixels leave as the same bytes."""
    assert reencoded(hidden) == reencoded(saved(noise()))


def test_what_leaves_is_a_picture_and_nothing_else() -> None:
    left = reencoded(saved(noise()) + zipped())
    assert not zipfile.is_zipfile(io.BytesIO(left))
    assert [left[at - 4 : at] for at in (16, len(left) - 4)] == [b"IHDR", b"IEND"]
    assert reencoded(left) == left


def test_a_payload_in_low_bits_does_not_survive() -> None:
    """Four bits of each channel hold other data, alpha's too: not one byte of the answer differs."""
    plain = noise("RGBA").tobytes()
    payload = noise("RGBA", seed=2).tobytes()
    carrying = bytes((a & 0xF0) | (b & 0x0F) for a, b in zip(plain, payload, strict=True))
    one, other = (saved(Image.frombytes("RGBA", (40, 30), p)) for p in (plain, carrying))
    assert one != other
    assert reencoded(one) == reencoded(other)


def test_what_lies_under_full_transparency_does_not_survive() -> None:
    one, other = noise("RGBA", seed=1), noise("RGBA", seed=2)
    for picture in (one, other):
        picture.putalpha(0)
    assert reencoded(saved(one)) == reencoded(saved(other))


def test_indices_of_equal_colours_do_not_survive() -> None:
    def painted(index: int) -> bytes:
        picture = Image.new("P", (8, 8), index)
        picture.putpalette([200, 10, 10] * 256)
        return saved(picture)

    assert painted(1) != painted(7)
    assert reencoded(painted(1)) == reencoded(painted(7))


def test_a_jpeg_leaves_as_png_without_comment_and_thumbnail() -> None:
    plain, told = saved(noise(), "JPEG"), saved(noise(), "JPEG", comment=SECRET)
    assert SECRET in told
    assert reencoded(told) == reencoded(plain) == reencoded(plain + SECRET)
    assert reencoded(plain).startswith(SIGNATURE)


def test_what_can_be_seen_is_kept() -> None:
    seen = Image.new("RGB", (4, 1), "white")
    for x, colour in enumerate([(0, 0, 0), (255, 255, 255), (255, 0, 0)]):
        seen.putpixel((x, 0), colour)
    assert Image.open(io.BytesIO(reencoded(saved(seen)))).tobytes() == seen.tobytes()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (b"", "neither a PNG nor a JPEG"),
        (SECRET, "neither a PNG nor a JPEG"),
        (SVG, "neither a PNG nor a JPEG"),
        (zipped() + saved(noise()), "neither a PNG nor a JPEG"),
        (saved(noise(), "GIF"), "neither a PNG nor a JPEG"),
        (saved(noise(), "BMP"), "neither a PNG nor a JPEG"),
        (saved(noise(), "TIFF"), "neither a PNG nor a JPEG"),
        (SIGNATURE, "damaged or cut off"),
        (SIGNATURE + SVG, "damaged or cut off"),
        (b"\xff\xd8\xff" + SVG, "damaged or cut off"),
        (saved(noise())[:-40], "damaged or cut off"),
        (saved(noise())[:60], "damaged or cut off"),
        (saved(noise(), "JPEG")[:300], "damaged or cut off"),
        (bare(900, 900), "damaged or cut off"),
        (bare(1, 1_000_000_000), "million pixels"),
        (bare(1_000_000_000, 1), "million pixels"),
        (bare(MAX_SIDE, MAX_SIDE), "million pixels"),
        (bare(4_000, 3_001), "million pixels"),
        (bare(30, 30, 16), "at most eight bits"),
        (saved(noise("CMYK"), "JPEG"), "at most eight bits"),
        (saved(noise(), save_all=True, append_images=[noise(seed=2)]), "more than one picture"),
        (saved(noise(), "MPO", save_all=True, append_images=[noise(seed=2)]), "more than one picture"),
        (saved(noise()) + bytes(MAX_BYTES), "MiB"),
    ],
)
def test_what_is_not_one_plain_picture_is_refused(odd: bytes, why: str) -> None:
    with pytest.raises(ImageRefused) as told:
        reencoded(odd)
    assert why in told.value.why
    assert told.value.do


def test_a_text_that_unpacks_without_end_is_not_unpacked() -> None:
    bomb = within(saved(noise()), b"zTXt", b"a\x00\x00" + zlib.compress(bytes(200_000_000), 9))
    with pytest.raises(ImageRefused):
        reencoded(bomb)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def sent(world: World, data: bytes, *names: str) -> RequestRow:
    digest = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, digest, len(data), world.clock())
    items = tuple(Item(name, Kind.FILE, blob=digest) for name in names)
    return submit(world.gate, world.ana, Draft("Plot", "A plot for the paper", "Figure 1", items), world.clock())


def asked(world: World, data: bytes, *names: str) -> RequestRow:
    held = claim(world.gate, sent(world, data, *names).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def members(world: World, row: RequestRow) -> dict[str, bytes]:
    row = release(world.gate, world.prepared(world.reviewed(row)), world.clock())
    with world.gate.store.read() as c:
        found = releases.of_request(c, row.id)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle))) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def test_an_approved_picture_leaves_as_the_gates_own(world: World) -> None:
    carrying = saved(noise(), pnginfo=described()) + zipped()
    left = members(world, asked(world, carrying, "plot.PNG", "photo.jpg"))
    assert left["data/plot.PNG"] == left["data/photo.jpg.png"] == reencoded(saved(noise()))
    assert "data/photo.jpg" not in left
    assert left["certificate.json"].count(b'"picture":"re-encoded"') == 2
    assert not any(SECRET in data for data in left.values())


@pytest.mark.parametrize("data", [SVG, saved(noise())[:-40], bare(1, 1_000_000_000)])
def test_what_cannot_be_written_anew_is_refused_and_on_record(world: World, data: bytes) -> None:
    row = sent(world, data, "plot.png")
    assert row.state is State.REFUSED
    with world.gate.store.read() as c:
        decided = requests.decision(c, row.id, row.revision)
    assert decided is not None
    assert [r.code for r in decided.reasons] == ["image-refused"]
    assert world.entries("request.decided")


def test_a_check_does_not_believe_the_submit(world: World) -> None:
    """The lane decodes for itself: what a check cannot write anew is a failed check, and nothing of it leaves."""
    digest = world.gate.blobs.put(SVG)
    item = Item("plot.png", Kind.FILE, blob=digest)
    made = FileLane().check(world.gate, item, LaneContext((), {"files": ["png"]}, (), world.clock()))
    assert [f.rule for f in made.row.findings] == ["not_recomputed", "unreadable"]
    assert "neither a PNG" in str(made.row.findings[1].figures["what"])
    assert FileLane().leaving(world.gate, item, made.row).parts == ()


@pytest.mark.parametrize("files", [None, [], ["txt"], ["gpng", "png2"]])
def test_no_decoder_meets_a_picture_that_policy_keeps(world: World, files: object, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(file, "reencoded", lambda _: pytest.fail("decoded"))
    world.engine.overrides["release/parameters"] = lambda _: {} if files is None else {"files": files}
    item = Item("plot.png", Kind.FILE, blob=world.gate.blobs.put(saved(noise())))
    assert FileLane().refusal(world.gate, item, ()) is None
    parameters = {} if files is None else {"files": files}
    made = FileLane().check(world.gate, item, LaneContext((), parameters, (), world.clock()))
    assert "unreadable" in {f.rule for f in made.row.findings}
    assert FileLane().leaving(world.gate, item, made.row).parts == ()


def test_a_photograph_cannot_take_the_name_of_another_output() -> None:
    two = [Item("a.jpg", Kind.FILE, blob="a" * 64), Item("A.JPG.png", Kind.FILE, blob="b" * 64)]
    with pytest.raises(ItemRefused):
        checked_items(two)


def test_a_steward_sees_what_would_leave_and_nobody_else(world: World) -> None:
    row = asked(world, saved(noise(), pnginfo=described()), "plot.png")
    address = f"{PREFIX}requests/{row.name}"
    stella = signed_in(make_desk(world), "stella")
    assert f'src="{address}/figures/plot.png"' in stella.get(address).text
    shown = stella.get(f"{address}/figures/plot.png")
    assert shown.content == reencoded(saved(noise()))
    assert shown.headers["content-type"] == "image/png"
    assert stella.get(f"{address}/figures/other.png").status_code == 404
    assert signed_in(make_desk(world), "amir").get(f"{address}/figures/plot.png").status_code == 404
