# shellcheck shell=bash
# How a part reports: one line a test into $NIXBOX_RESULTS, which outlives whatever subshell wrote it.
# tests/conftest.py writes the same lines.
#
#   ok NAME | not ok NAME | unsteady NAME | skip NAME: REASON | count PASSED FAILED SKIPPED
#
# and below one that failed, what it said: `| LINE`.

pass() { printf 'ok %s\n' "$1" >>"$NIXBOX_RESULTS"; }
# fail NAME [WHAT IT SAID]
fail() { printf 'not ok %s\n' "$1" >>"$NIXBOX_RESULTS" && said "${2:-}"; }
unsteady() { printf 'unsteady %s\n' "$1" >>"$NIXBOX_RESULTS" && said "${2:-}"; }
said() { [[ -z $1 ]] || printf '%s\n' "$1" | cut -c1-300 | sed 's/^/| /' >>"$NIXBOX_RESULTS"; }
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

# With more of them the cause is no hiccup of the machine.
few() { (($1 <= 8)); }

# again NAME WHAT-IT-SAID COMMAND…: what failed among the others is run by itself, twice. Shared machines stand still for
# seconds; who passes both times is named in the closing lines, and fails nobody.
again() {
  local name=$1 said=$2
  shift 2
  echo "--- again, alone: $name"
  if [[ -z ${NIXBOX_ONCE:-} ]] && "$@" && "$@"; then unsteady "$name" "$said"; else fail "$name" "$said"; fi
}

# PASSED FAILED SKIPPED of a results file. Who is unsteady has passed in the end.
tally() {
  awk '/^(ok|unsteady) /{p++} /^not ok /{f++} /^skip /{s++} /^count /{p+=$2; f+=$3; s+=$4} END{print p+0, f+0, s+0}' "$1"
}

# Each test with that WORD and what it said, as `LABEL PART: NAME`.
those() {
  local file=$1 word=$2 label=$3
  awk -v word="$word " -v label="  $label" '
    /^\| / { if (on) print "      " $0; next }
    { on = index($0, word) == 1 }
    on { print label ": " substr($0, length(word) + 1) }' "$file"
}
