# shellcheck shell=bash
# How a part reports: one line a test into $NIXBOX_RESULTS, which outlives whatever subshell wrote it.
# tests/conftest.py writes the same lines.
#
#   ok NAME | not ok NAME | skip NAME: REASON | count PASSED FAILED SKIPPED

pass() { printf 'ok %s\n' "$1" >>"$NIXBOX_RESULTS"; }
fail() { printf 'not ok %s\n' "$1" >>"$NIXBOX_RESULTS"; }
count() { printf 'count %d %d %d\n' "$@" >>"$NIXBOX_RESULTS"; }

# With --require-all what is missing is a failure, unless no registry carries it.
skip() {
  if [[ -n ${NIXBOX_REQUIRE_ALL:-} && $2 != optional:* ]]; then
    echo "$1: $2, and --require-all was asked for"
    fail "$1 (missing: $2)"
  else
    printf 'skip %s: %s\n' "$1" "$2" >>"$NIXBOX_RESULTS"
  fi
}

# check NAME COMMAND…: one test, passed when the command succeeds.
check() {
  local name=$1
  shift
  echo "--- $name: $*"
  if "$@"; then pass "$name"; else fail "$name"; fi
}

# PASSED FAILED SKIPPED of a results file.
tally() {
  awk '/^ok /{p++} /^not ok /{f++} /^skip /{s++} /^count /{p+=$2; f+=$3; s+=$4} END{print p+0, f+0, s+0}' "$1"
}
