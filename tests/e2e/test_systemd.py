"""The units that `render` writes, read by systemd itself where it is installed."""

import shutil

import pytest


def test_systemd_accepts_the_units(make_project):
    # No machine is asked to have systemd for this: containers, which CI is made of, have none.
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("optional: systemd-analyze is not here")
    project = make_project('version = 1\n[instances.sandbox]\ndescription = "50 % of $HOME"\n[instances."b-c_d"]\n')
    units = project.base / "units"
    project.helper("render", "--to", "systemd", "--output", units)
    names = sorted(path.name for path in units.iterdir())
    assert names == ["agentfs-b-c_d.service", "agentfs-sandbox.service"]
    done = project.command(verify, "--user", "verify", *(units / name for name in names))
    assert [line for line in done.stderr.splitlines() if "agentfs-" in line] == []
