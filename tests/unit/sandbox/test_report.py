"""The report of a proof: what counts, and that nobody can quietly change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.note import Signer
from provisioning.sandbox.prove import ReportFault, check
from provisioning.sandbox.prove.adversary.__main__ import ATTEMPTS
from provisioning.sandbox.prove.adversary.trying import BLOCKED, Attempt, run
from provisioning.sandbox.prove.proving import KNOWN_OPEN, _parsed
from provisioning.sandbox.prove.report import FORMAT, Report, signed


def attempt(observed: str, expected: str = "blocked", name: str = "a") -> dict[str, str]:
    said = {"id": name, "channel": "network", "tried": "<t>", "expected": expected, "observed": observed, "detail": "d"}
    return said


def content(*attempts: dict[str, str], holds: bool = True) -> dict[str, Any]:
    machine = dict.fromkeys(("image", "runtime", "engine", "kernel", "cgroup", "architecture"), "x")
    outside = [{"id": "o", "expected": "1", "observed": "1" if holds else "2", "holds": holds}]
    made = {
        "format": FORMAT,
        "made_at": "2026-11-23T00:00:00Z",
        "machine": machine,
        "profile": {},
        "baseline": None,
        "known": [],
    }
    return {**made, "attempts": list(attempts), "outside": outside}


@pytest.fixture
def signer() -> Signer:
    return Signer.generate("test")


# -- the verdict ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("attempts", "holds", "code"),
    [
        ([attempt("blocked")], True, 0),
        ([attempt("open")], True, 1),
        ([attempt("error")], True, 2),
        ([attempt("blocked"), attempt("error")], True, 2),
        ([attempt("error"), attempt("open")], True, 1),
        ([attempt("blocked")], False, 1),
        ([attempt("open", expected="open")], True, 1),
        ([attempt("nonsense")], True, 2),
        ([], True, 2),
    ],
)
def test_only_blocked_everywhere_is_a_pass(attempts: list[dict[str, str]], holds: bool, code: int) -> None:
    assert Report(content(*attempts, holds=holds)).exit_code == code


def test_what_is_known_to_stay_open_is_named_apart_and_seen_on_the_page(signer: Signer) -> None:
    known = attempt("open", expected="open", name="machine-load")
    report = signed({**content(attempt("blocked")), "known": [known]}, signer)
    assert report.exit_code == 0
    assert report.known == ["machine-load"]
    assert report.counted() == {"blocked": 1, "open": 0, "error": 0}
    assert "Known to stay open" in report.html()
    assert check(report.json(), str(signer.verifier)).known == ["machine-load"]


def test_undecided_is_not_counted_as_blocked() -> None:
    assert Report(content(attempt("error"), attempt("blocked"))).counted() == {"blocked": 1, "open": 0, "error": 1}


def test_a_sandbox_cannot_say_that_open_was_expected() -> None:
    line = json.dumps(attempt("open", expected="open", name="socket-vsock")).encode()
    told = _parsed(line)
    assert told is not None
    assert told["expected"] == "blocked"


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[]", b'{"id": 1}', b"null", b'"x"', b"\xff"])
def test_a_line_of_another_shape_is_no_attempt(line: bytes) -> None:
    assert _parsed(line) is None


# -- the signature ----------------------------------------------------------------------------------------------------
def test_a_whole_report_is_accepted(signer: Signer) -> None:
    report = signed(content(attempt("blocked")), signer)
    assert check(report.json(), str(signer.verifier)).exit_code == 0
    assert check(report.json()).attempts == report.attempts


@pytest.mark.parametrize("change", ["attempts", "outside", "machine", "made_at", "profile"])
def test_a_changed_report_is_refused(signer: Signer, change: str) -> None:
    altered = json.loads(signed(content(attempt("open")), signer).json())
    altered[change] = content(attempt("blocked"))[change] if change == "attempts" else {"changed": "yes"}
    with pytest.raises(ReportFault):
        check(json.dumps(altered))


def test_another_makers_report_is_refused_when_a_key_is_given(signer: Signer) -> None:
    other = signed(content(attempt("blocked")), Signer.generate("test"))
    with pytest.raises(ReportFault):
        check(other.json(), str(signer.verifier))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"signature": {}}', '{"format": "x", "signature": 1}'])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ReportFault):
        check(text)


def test_pages_are_escaped(signer: Signer, tmp_path: Path) -> None:
    page = signed(content(attempt("open")), signer).write(tmp_path)[1].read_text("utf-8")
    assert "&lt;t&gt;" in page
    assert "<t>" not in page


# -- the attempts -----------------------------------------------------------------------------------------------------
def test_attempts_are_many_and_distinct() -> None:
    assert len(ATTEMPTS) >= 60
    assert len({each.id for each in ATTEMPTS}) == len(ATTEMPTS)
    channels = {each.channel for each in ATTEMPTS}
    assert channels == {"network", "kernel", "filesystem", "credentials", "neighbours", "denial-of-service"}


def test_channels_known_to_be_open_are_on_one_list_with_a_reason() -> None:
    assert {each.id for each in ATTEMPTS if each.known} == set(KNOWN_OPEN)


def test_a_try_that_raises_hangs_or_dies_is_undecided() -> None:
    def raises(_: dict[str, Any]) -> tuple[str, str]:
        raise RuntimeError("surprise")

    def hangs(_: dict[str, Any]) -> tuple[str, str]:
        import time

        time.sleep(60)
        return BLOCKED, ""

    def dies(_: dict[str, Any]) -> tuple[str, str]:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        return BLOCKED, ""

    for function in (raises, hangs, dies):
        tried = run(Attempt("x", "network", "x", function, 1, "error", ""), {})
        assert tried["observed"] == "error", function.__name__
