"""The units that `render` writes, read by systemd itself where it is installed."""

import shutil

import pytest


def test_systemd_accepts_the_units(make_project):
    # No machine is asked to have systemd for this: containers, which CI is made of, have none.
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("optional: systemd-analyze is not here")
    project = make_project(
        'version = 1\n[instances.sandbox]\ndescription = "50 % of $HOME"\n[instances."b-c_d"]\nmount.backend = "none"\n'
        '[jobs.seed]\ninstance = "sandbox"\nexec = ["true"]\n'
        '[jobs.worker]\ninstance = "sandbox"\nexec = ["sleep", "9"]\ndepends_on.seed = "completed"\n'
        'limits = { cpu = 0.5, memory = "64MiB", pids = 9 }\nrestart.backoff.min = "1500ms"\n'
        '[schedules.nightly]\ncron = "30 3 * * mon-fri,5L"\ntimezone = "Europe/Berlin"\njitter = "10min"\nrun = ["status"]\n'
        '[schedules.once]\nat = "2036-11-21T06:45:00Z"\ninstance = "sandbox"\nexec = ["true"]\n'
    )
    units = project.base / "units"
    project.helper("render", "--to", "systemd", "--output", units)
    names = sorted(path.name for path in units.iterdir())
    assert names == [
        "agentfs-b-c_d.service",
        "agentfs-job-seed.service",
        "agentfs-job-worker.service",
        "agentfs-sandbox.service",
        "agentfs-schedule-nightly.service",
        "agentfs-schedule-nightly.timer",
        "agentfs-schedule-once.service",
        "agentfs-schedule-once.timer",
    ]
    done = project.command(verify, "--user", "verify", *(units / name for name in names))
    assert [line for line in done.stderr.splitlines() if "agentfs-" in line] == []
