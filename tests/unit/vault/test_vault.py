"""The vault: what a wrong key, a changed byte, a crash and a full memory lead to, and what a right one gives."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from installation.settings import CHECKOUT, Settings, load
from vault import Vault, VaultFault, place
from vault.sealing import ENDING, KEY_FILE

VERSION = "nafld/1"
DATA = os.urandom(2_500_000)
SANDBOX = "ab" * 8


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path / "home")


def seal(settings: Settings, version: str = VERSION, content: bytes = DATA, **files: bytes) -> dict[str, str]:
    """A sealed version; file name → digest."""
    folder = settings.datasets / version
    folder.mkdir(parents=True)
    work = settings.home / "work"
    work.mkdir(exist_ok=True)
    writer = Vault(settings).writer(folder)
    found = {}
    for name, data in {"a.parquet": content, **{f"{k}.parquet": v for k, v in files.items()}}.items():
        with writer.pipe(name, work) as pipe:
            pipe.path.write_bytes(data)
            made = pipe.sealed()
        assert made.bytes == len(data)
        found[name] = made.digest
    return found


def read(settings: Settings, digests: Mapping[str, str], version: str = VERSION) -> bytes:
    with Vault(settings).opened({version: digests}) as opened:
        return (opened[version] / "a.parquet").read_bytes()


def refused(settings: Settings, digests: Mapping[str, str], match: str) -> VaultFault:
    """The fault, after a look that nothing plain was left."""
    with pytest.raises(VaultFault, match=match) as fault:
        read(settings, digests)
    assert not Vault(settings).path(VERSION).exists()
    assert str(settings.home) not in " ".join(fault.value.public().values())
    return fault.value


def change(path: Path, edit: Callable[[bytearray], bytes | bytearray]) -> None:
    data = bytearray(path.read_bytes())
    path.chmod(0o600)
    path.write_bytes(edit(data))


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("position", [0, 40, 1_048_576, -1])
def test_a_flipped_byte_is_an_error_and_never_data(settings: Settings, position: int) -> None:
    digests = seal(settings)

    def flip(data: bytearray) -> bytearray:
        data[position] ^= 1
        return data

    change(settings.datasets / VERSION / f"a.parquet{ENDING}", flip)
    refused(settings, digests, "changed or cut short")


@pytest.mark.parametrize("kept", [0, 10, 1_048_576, -1])
def test_a_file_that_was_cut_short_is_an_error(settings: Settings, kept: int) -> None:
    digests = seal(settings)
    change(settings.datasets / VERSION / f"a.parquet{ENDING}", lambda data: data[:kept])
    refused(settings, digests, "changed or cut short")


def test_a_wrong_master_key_opens_nothing(settings: Settings) -> None:
    digests = seal(settings)
    (settings.secrets / "vault.master").unlink()
    seal(settings, "other/1")  # makes another master key
    refused(settings, digests, "key is missing or damaged|not wrapped by")


def test_a_missing_master_key_is_not_made_anew_by_reading(settings: Settings) -> None:
    digests = seal(settings)
    (settings.secrets / "vault.master").unlink()
    refused(settings, digests, "missing or damaged")
    assert not (settings.secrets / "vault.master").exists()


def test_a_master_key_that_others_can_read_is_refused(settings: Settings) -> None:
    digests = seal(settings)
    (settings.secrets / "vault.master").chmod(0o640)
    refused(settings, digests, "others than its owner|missing or damaged")


def test_another_versions_files_and_key_are_not_this_version(settings: Settings) -> None:
    digests = seal(settings)
    seal(settings, "nafld/2", b"PAR1 other PAR1")
    for folder, other in ((settings.datasets / "nafld/1", settings.datasets / "nafld/2"),):
        for name in (KEY_FILE, f"a.parquet{ENDING}"):
            (folder / name).unlink()
            (folder / name).write_bytes((other / name).read_bytes())
    refused(settings, digests, "Another file lies in its place")


def test_files_of_one_version_cannot_be_swapped(settings: Settings) -> None:
    digests = seal(settings, b=b"second")
    folder = settings.datasets / VERSION
    (folder / f"a.parquet{ENDING}").rename(folder / "x")
    (folder / f"b.parquet{ENDING}").rename(folder / f"a.parquet{ENDING}")
    (folder / "x").rename(folder / f"b.parquet{ENDING}")
    refused(settings, digests, "changed or cut short|Another file")


def test_a_version_whose_key_is_erased_stays_shut(settings: Settings) -> None:
    digests = seal(settings)
    Vault(settings).erase_key(settings.datasets / VERSION)
    Vault(settings).erase_key(settings.datasets / VERSION)
    refused(settings, digests, "missing or damaged")


@pytest.mark.parametrize("version", ["../nafld/1", "nafld", "nafld/0", "nafld/1/2", "Nafld/1", ""])
def test_only_names_of_versions_are_paths(settings: Settings, version: str) -> None:
    with pytest.raises(VaultFault, match="not the name of a version"):
        Vault(settings).path(version)


def test_a_place_that_others_can_read_is_refused(settings: Settings) -> None:
    found = place.place_of(settings)
    found.chmod(0o755)
    with pytest.raises(VaultFault, match="others can look into it"):
        place.place_of(settings)


def test_a_place_that_is_a_link_is_refused(settings: Settings, tmp_path: Path) -> None:
    found = place.place_of(settings)
    for each in found.iterdir():
        each.unlink()
    found.rmdir()
    found.symlink_to(tmp_path)
    try:
        with pytest.raises(VaultFault, match="others can look into it"):
            place.place_of(settings)
    finally:
        found.unlink()


def test_a_place_on_a_disk_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    with pytest.raises(VaultFault, match="not lie in memory"):
        place.place_of(replace(settings, vault_place=str(tmp_path / "disk")))


def test_data_that_does_not_fit_into_memory_is_refused_before_it_is_opened(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = seal(settings)
    monkeypatch.setattr(place, "_available", lambda: 1024)
    refused(settings, digests, "there is no room")


# -- at rest ----------------------------------------------------------------------------------------------------------
def test_nothing_plain_lies_on_the_disk(settings: Settings) -> None:
    marked = b"PAR1" + b"a very telling diagnosis " * 9000
    digests = seal(settings, content=marked)
    assert read(settings, digests) == marked
    files = [path for path in settings.home.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    assert files
    assert not [path for path in files if b"telling" in path.read_bytes()]


def test_what_a_writer_gave_up_leaves_nothing(settings: Settings) -> None:
    folder, work = settings.datasets / VERSION, settings.home
    folder.mkdir(parents=True)
    writer = Vault(settings).writer(folder)
    with pytest.raises(RuntimeError), writer.pipe("a.parquet", work):
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert not list(work.glob("*.pipe"))


# -- held and let go --------------------------------------------------------------------------------------------------
def test_the_last_holder_closes_it(settings: Settings) -> None:
    digests = seal(settings)
    vault = Vault(settings)
    folder = vault.hold(VERSION, digests, SANDBOX)
    assert (folder / "a.parquet").read_bytes() == DATA
    assert (folder / "a.parquet").stat().st_mode & 0o777 == 0o444
    assert read(settings, digests) == DATA
    assert folder.exists()
    vault.hold(VERSION, digests, "cd" * 8)
    vault.release(SANDBOX)
    assert folder.exists()
    vault.release("cd" * 8)
    vault.release("cd" * 8)
    assert not folder.exists()


def test_many_at_once_open_it_once_and_close_it_once(settings: Settings) -> None:
    digests = seal(settings)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(read(settings, digests))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 8
    assert not Vault(settings).path(VERSION).exists()


HOLD = """
import json, os, sys
from pathlib import Path
from installation.settings import load
from vault import Vault
with Vault(load(Path(sys.argv[1]))).opened({"nafld/1": json.loads(sys.argv[2])}) as opened:
    print(opened["nafld/1"], flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_held_is_closed_by_the_next(settings: Settings) -> None:
    digests = seal(settings)
    held = [sys.executable, "-c", HOLD, str(settings.home), json.dumps(digests)]
    died = subprocess.run(held, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert died.returncode == -9
    assert Path(died.stdout.strip()).exists()
    Vault(settings).close_unheld(set())
    assert not Path(died.stdout.strip()).exists()


def test_a_sandbox_that_is_gone_holds_nothing(settings: Settings) -> None:
    digests = seal(settings)
    vault = Vault(settings)
    folder = vault.hold(VERSION, digests, SANDBOX)
    vault.close_unheld({SANDBOX})
    assert folder.exists()
    vault.close_unheld(set())
    assert not folder.exists()


# -- other places for the master key ----------------------------------------------------------------------------------
SERVICE = """#!/usr/bin/env python3
import base64, json, sys
asked = json.load(sys.stdin)
pad = b"0123456789abcdef" * 4096
key = base64.b64decode(asked["key"])
made = bytes(a ^ b for a, b in zip(key, pad))
print(json.dumps({"key": base64.b64encode(made).decode()}))
"""


def with_service(settings: Settings, text: str) -> Settings:
    program = settings.home / "service"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    program.chmod(0o700)
    return replace(settings, vault_master=f"command:{program}")


def test_a_key_service_wraps_and_unwraps(settings: Settings) -> None:
    served = with_service(settings, SERVICE)
    digests = seal(served)
    assert read(served, digests) == DATA
    assert not (settings.secrets / "vault.master").exists()


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho '{}'\n", "#!/bin/sh\necho nonsense\n"])
def test_a_key_service_that_fails_opens_nothing(settings: Settings, text: str) -> None:
    digests = seal(with_service(settings, SERVICE))
    refused(with_service(settings, text), digests, "key service did not unwrap")


@pytest.mark.parametrize("setting", ["", "files", "pkcs11:token=a", "vault"])
def test_a_setting_that_names_no_key_is_refused(settings: Settings, setting: str) -> None:
    with pytest.raises(VaultFault, match="no master key"):
        seal(replace(settings, vault_master=setting))


def test_the_key_is_not_in_the_key_file_as_it_is(settings: Settings) -> None:
    seal(settings)
    wrapped = json.loads((settings.datasets / VERSION / KEY_FILE).read_text())
    assert set(wrapped) == {"format", "id", "wrapped"}
    assert base64.b64decode(wrapped["wrapped"]["encryptedKeyset"])


def with_module(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A token of a real PKCS#11 module (SoftHSM) with an AES key in it."""
    import pkcs11

    tokens = settings.home / "tokens"
    tokens.mkdir(parents=True)
    configuration = settings.home / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    made = ["softhsm2-util", "--init-token", "--free", "--label", "vault", "--so-pin", "5678", "--pin", "1234"]
    subprocess.run(made, check=True, capture_output=True)
    pin = settings.home / "pin"
    pin.write_text("1234\n")
    pin.chmod(0o600)
    library = pkcs11.lib(MODULE)
    library.reinitialize()
    with library.get_token(token_label="vault").open(user_pin="1234", rw=True) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label="master", store=True)
    address = f"pkcs11:token=vault;object=master?module-path={MODULE}&pin-source={pin}"
    return replace(settings, vault_master=address)


MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def test_a_hardware_module_wraps_and_unwraps(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held = with_module(settings, monkeypatch)
    digests = seal(held)
    assert read(held, digests) == DATA
    (settings.home / "pin").write_text("9999\n")
    refused(held, digests, "hardware module refused")
    (settings.home / "pin").chmod(0o644)
    refused(held, digests, "others than its owner")
