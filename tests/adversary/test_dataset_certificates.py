"""Certificates of registration, masking, twin and destruction: each holds under both verifiers, and no change of one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import certificate, export, keys
from ledger.dataset_statement import FORMS
from ledger.entry import canonical
from ledger.note import Signer
from provisioning.domain.masking import parse
from provisioning.service import destruction, masking, twin
from provisioning.service.certificates import certificate_path
from tests.conftest import glovebox
from tests.unit.ledger.release_case import log_with, release, stand_alone
from tests.unit.provisioning.world import DAY, START, World

AT = START + DAY
ALONE = stand_alone()
MADE = {"registered": "nafld/1", "masked": "nafld/2", "twinned": "nafld-twin/1", "destroyed": "nafld/1"}
STRANGER = Signer("glovebox-ledger", bytes(32))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An installation in which all four have happened."""
    made = World(tmp_path_factory.mktemp("certified") / "home")
    made.register()
    made.project()
    recipe = parse(json.dumps({"people": {"columns": {"id": {"do": "pseudonym"}}, "quasi": ["age"]}}))
    masking.mask_version(
        made.db, made.settings, version="nafld/1", recipes=recipe, project="liver", actor="adam", at=AT
    )
    twin.make_twin(made.db, made.engine, made.settings, version="nafld/1", actor="adam", at=AT)
    gone = {"version": "nafld/1", "reason": "Retention is over.", "actor": "stella"}
    destruction.destroy_version(made.db, made.settings, at=AT, **gone)
    return made


def path_of(world: World, kind: str) -> Path:
    return certificate_path(world.settings, kind, MADE[kind])


def key_of(world: World) -> Any:
    return ALONE.PublicKey(str(world.db.verifier))


def refused(world: World, data: bytes) -> str:
    """What our verifier says, after both have refused."""
    with pytest.raises(ALONE.Wrong):
        ALONE.verify_dataset(data, key_of(world))
    found = certificate.verify_certificate(data, world.db.verifier)
    assert not found.ok
    return found.message


@pytest.mark.parametrize("kind", MADE)
def test_what_happened_is_certified_and_on_record(world: World, kind: str) -> None:
    data = path_of(world, kind).read_bytes()
    found = certificate.verify_certificate(data, world.db.verifier)
    assert found.ok, found.message
    statement, _, _ = ALONE.verify_dataset(data, key_of(world))
    assert statement == found.statement
    assert statement["version"] == MADE[kind]
    form = FORMS[statement["format"]]
    (entry,) = world.entries(form.kind)
    assert entry["facts"]["certificate"] == certificate.digest(canonical(statement))
    assert (entry["facts"]["digest"], entry["subject"][form.noun]) == (statement["digest"], MADE[kind])


def test_copies_name_what_they_came_from_and_how(world: World) -> None:
    masked = json.loads(path_of(world, "masked").read_bytes())["statement"]
    registered = json.loads(path_of(world, "registered").read_bytes())["statement"]
    assert (masked["from"], masked["from_digest"], masked["project"]) == ("nafld/1", registered["digest"], "liver")
    assert json.loads(masked["recipe"])["people"]["columns"]["id"]["do"] == "pseudonym"
    twinned = json.loads(path_of(world, "twinned").read_bytes())["statement"]
    assert twinned["twin_of"] == "nafld/1"
    assert float(twinned["epsilon"]) > 0


@pytest.mark.parametrize("kind", MADE)
def test_any_changed_byte_is_found(world: World, kind: str) -> None:
    honest = path_of(world, kind).read_bytes()
    for at in range(0, len(honest), 61):
        changed = bytearray(honest)
        changed[at] ^= 1 << at % 8
        refused(world, bytes(changed))
    for other in (honest[:-1], honest + b"\n", b"{}", b"", b"[" * 5000, b'{"format":1}'):
        refused(world, other)


@pytest.mark.parametrize("kind", MADE)
def test_an_altered_statement_signed_by_somebody_else_is_refused(world: World, kind: str) -> None:
    sealed = json.loads(path_of(world, kind).read_bytes())
    sealed["statement"]["digest"] = "0" * 64
    statement = canonical(sealed["statement"])
    form = FORMS[sealed["statement"]["format"]]
    subject = {form.noun: MADE[kind]}
    log = log_with(statement, kind=form.kind, subject=subject)
    assert "recorded" not in refused(world, certificate.seal(statement, STRANGER, log.receipt(2)))
    forged = json.loads(certificate.seal(statement, STRANGER, log.receipt(2)))
    refused(world, canonical({**forged, "key": str(world.db.verifier)}))
    kept = {**sealed, "signature": forged["signature"]}
    refused(world, canonical(kept))


@pytest.mark.parametrize("kind", MADE)
def test_a_statement_that_the_ledger_never_recorded_is_refused(world: World, kind: str) -> None:
    """Even under the right key: the entry beside it is that of another statement, kind or version."""
    signer = keys.load(world.settings.secrets / "ledger.key")
    statement = path_of(world, kind).read_bytes()
    body = json.loads(statement)["statement"]
    form = FORMS[body["format"]]
    wrong: list[dict[str, Any]] = [
        {"kind": "person.added"},
        {"subject": {form.noun: "other/1"}},
        {"facts": {"certificate": "0" * 64}},
    ]
    for changes in wrong:
        entry = {"kind": form.kind, "subject": {form.noun: MADE[kind]}, **changes}
        log = log_with(canonical(body), **entry)
        receipt = type(log)(log.bodies, signer).receipt(2)
        said = refused(world, certificate.seal(canonical(body), signer, receipt))
        assert "the ledger entry in it records something else" in said


def test_one_kind_does_not_pass_for_another(world: World) -> None:
    """A certificate of registration under the format of a destruction, and a statement that lacks a part, correctly signed."""
    signer = keys.load(world.settings.secrets / "ledger.key")
    honest = json.loads(path_of(world, "destroyed").read_bytes())["statement"]
    changes = [{"format": name} for name in (*FORMS, "glovebox-release/1", "other") if name != honest["format"]]
    for change in (*changes, {"tables": []}, {"tables": [{"name": "t"}]}, {"digest": "x"}, {"destroyed_at": "then"}):
        body = canonical({**honest, **change})
        log = log_with(body, kind="dataset.destroyed", subject={"version": "nafld/1"})
        refused(world, certificate.seal(body, signer, type(log)(log.bodies, signer).receipt(2)))
    with pytest.raises(ALONE.Wrong):
        ALONE.verify_dataset(release(), None)
    assert not certificate.verify_certificate(release()).ok


def test_the_commands_tell_good_from_bad(world: World, tmp_path: Path) -> None:
    pub = world.settings.home / "ledger.pub"
    ledger = tmp_path / "ledger.jsonl"
    export.write(world.db, ledger)
    bad = tmp_path / "bad.json"
    bad.write_bytes(path_of(world, "masked").read_bytes().replace(b"liver", b"heart"))
    answer = glovebox(world.settings, "verify", str(path_of(world, "masked")), "--key", str(pub), "--json")
    assert (answer.returncode, json.loads(answer.stdout)["statement"]["version"]) == (0, "nafld/2"), answer.stderr
    assert glovebox(world.settings, "verify", str(bad)).returncode == 1
    assert ALONE.main([str(path_of(world, "twinned")), "--key", str(pub)]) == 0
    assert ALONE.main([str(bad), "--key", str(pub)]) == 1


def test_a_newer_ledger_tells_whether_the_version_was_destroyed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pub, ledger = world.settings.home / "ledger.pub", tmp_path / "ledger.jsonl"
    export.write(world.db, ledger)
    for kind, gone in (("registered", 1), ("masked", 0), ("twinned", 0)):
        arguments = [str(path_of(world, kind)), "--key", str(pub), "--ledger", str(ledger), "--json"]
        assert ALONE.main(arguments) == 0
        assert len(json.loads(capsys.readouterr().out)["destroyed"]) == gone
    lines = ledger.read_text("utf-8").splitlines(keepends=True)
    ledger.write_text("".join(lines[:1]), "utf-8")
    assert ALONE.main([str(path_of(world, "masked")), "--key", str(pub), "--ledger", str(ledger)]) == 1


def test_a_crash_after_the_commit_loses_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = World(tmp_path / "home")
    made.register()
    made.project()
    recipe = parse(json.dumps({"people": {"columns": {"id": {"do": "pseudonym"}}}}))
    wanted = {"version": "nafld/1", "recipes": recipe, "project": "liver", "actor": "adam", "at": AT}
    with monkeypatch.context() as patch:
        patch.setattr(masking, "name_pending", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        patch.setattr(twin, "name_pending", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            masking.mask_version(made.db, made.settings, **wanted)
        with pytest.raises(OSError, match="power cut"):
            twin.make_twin(made.db, made.engine, made.settings, version="nafld/1", actor="adam", at=AT)
    named = {path.name for path in destruction.settle_certificates(made.db, made.settings)}
    assert named == {"masked-nafld-2.json", "twinned-nafld-twin-1.json"}
    for name in named:
        data = (made.settings.home / "certificates" / name).read_bytes()
        assert certificate.verify_certificate(data, made.db.verifier).ok
