"""Real direnv on the `plain` template: the variables are there, quickly, and nothing stays behind."""

import time

import pytest
from support import need


@pytest.fixture
def entered(make_project):
    need("direnv")
    project = make_project(config=None)
    project.helper("new", "plain")
    for kind in ("CONFIG", "DATA", "CACHE"):
        project.env[f"XDG_{kind}_HOME"] = str(project.home / kind.lower())
    project.command("direnv", "allow")
    return project


def agentfs_lines(project):
    done = project.command("direnv", "exec", ".", "env")
    return {line.split("=", 1)[0]: line.split("=", 1)[1] for line in done.stdout.splitlines() if "AGENTFS_" in line}


def test_the_variables_are_those_of_env(entered):
    seen, meant = agentfs_lines(entered), entered.exports()
    assert meant["AGENTFS_ENABLED"]
    assert {name: seen[name] for name in meant if name.startswith("AGENTFS_")} == {
        name: value for name, value in meant.items() if name.startswith("AGENTFS_")
    }


def test_entry_is_quick_and_runs_nothing_that_stays(entered):
    agentfs_lines(entered)
    begun = time.monotonic()
    agentfs_lines(entered)
    # direnv waits for whoever holds its descriptors, so something that stayed would be felt right here.
    assert time.monotonic() - begun < 1.5
    assert not entered.leftovers(), entered.leftovers()


def test_a_changed_configuration_is_read_again(entered):
    shell = ["bash", "-c", 'eval "$(direnv export bash 2>/dev/null)"; "$@"; eval "$(direnv export bash)"; env', "sh"]
    edit = "printf '\\n[instances.another]\\n' >> nixbox.toml; touch -d '+2 sec' nixbox.toml"
    after = entered.command(*shell, "bash", "-c", edit)
    assert "AGENTFS_ANOTHER_DB=" in after.stdout


def test_a_mistake_is_told_and_sets_nothing(entered):
    (entered.root / "nixbox.toml").write_text("version = 9\n")
    done = entered.command("direnv", "exec", ".", "env", check=False)
    assert "nixbox::config::version" in done.stderr
    assert "AGENTFS_DB=" not in done.stdout
