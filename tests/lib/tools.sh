# shellcheck shell=bash disable=SC2034
# Where the pinned tools are, and which of them are there. Sourced by tests/setup, tests/run and tests/bench/run.

tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(dirname "$tests_dir")
pins=$tests_dir/tools
tools=${NIXBOX_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/nixbox-tests}
# shellcheck source=../tools/versions.sh
source "$pins/versions.sh"

# NAME  SEEN BY                           PINNED BY
tool_table() {
  cat <<END
nixfmt          bin/nixfmt                   nixfmt_rs $nixfmt_rs_version
deadnix         bin/deadnix                  deadnix $deadnix_version
cargo-deny      bin/cargo-deny               cargo-deny $cargo_deny_version
process-compose bin/process-compose          $(sum process-compose/go.sum)
venv            venv/bin/pytest              $(sum requirements.txt) $(python3 -V 2>&1)
npm             npm/node_modules/agentfs-sdk-0-5 $(sum npm/package-lock.json)
END
}

sum() { sha256sum <"$pins/$1" | cut -c1-12; }

# The row of tool_table for one name: sets seen and pin.
tool() {
  read -r _ seen pin < <(tool_table | awk -v name="$1" '$1 == name')
}

# Installed, and at the version that is asked for.
tool_is_current() {
  tool "$1"
  [[ -e $tools/$seen && $(cat "$tools/stamps/$1" 2>/dev/null) == "$pin" ]]
}

# The tests find everything through these, wherever it was installed.
use_tools() {
  export PATH=$tools/bin:$tools/venv/bin:$PATH
  export NIXBOX_TEST_NODE_MODULES=$tools/npm/node_modules
}
