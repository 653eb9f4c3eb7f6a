"""The list of controls is true: its attempts exist, its tests exist, and the page says what the list says."""

from __future__ import annotations

import pytest

from installation.settings import CHECKOUT
from provisioning.sandbox.controls import CONTROLS, PAGE, Control, page
from provisioning.sandbox.prove.adversary.__main__ import ATTEMPTS


def test_page_is_what_the_list_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m provisioning.sandbox.controls"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.setting)
def test_every_control_names_attempts_and_a_test_that_exist(control: Control) -> None:
    assert control.attempts
    assert set(control.attempts) <= {each.id for each in ATTEMPTS}
    file, _, name = control.test.partition("::")
    assert f"def {name}(" in (CHECKOUT / file).read_text("utf-8")
