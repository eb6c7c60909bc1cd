"""Limits where the kernel has all its controllers in version 2, whatever it is on the machine that runs the tests."""

from pathlib import Path

import pytest
from support import machine


@pytest.mark.timeout(660)
def test_limits_hold_by_control_groups_of_version_two():
    said = machine.run((Path(__file__).parent / "control-groups.sh").read_text())
    checks = [line for line in said.splitlines() if line.startswith(("ok ", "not ok "))]
    assert len(checks) == 45, said
    assert not [line for line in checks if line.startswith("not ok")], said
