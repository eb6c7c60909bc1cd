# shellcheck shell=bash disable=SC2034,SC2154
# The parts of tests/run: each a function that reports what it checked (results.sh). Sourced, after tools.sh.

# In the order in which they run: what is quick and what others need comes first.
parts=(fmt shell build clippy rust docs nix templates e2e interop chaos bench deny)

# Which parts run the built programs.
needs_build=" docs nix templates e2e interop chaos bench "

cargo_dir=$root/helper
target=${CARGO_TARGET_DIR:-$cargo_dir/target}

in_helper() { (cd "$cargo_dir" && "$@"); }

# Tracked files and new ones, but nothing ignored or just deleted; a tarball without git is searched as it lies.
sources() {
  local names=() pattern
  if git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git -C "$root" ls-files -co --exclude-standard -z -- "$@"
  else
    for pattern in "$@"; do names+=(-o -name "$pattern"); done
    (cd "$root" && find . -path ./helper/target -prune -o -type f \( "${names[@]:1}" \) -print0)
  fi | while IFS= read -r -d '' pattern; do
    [[ ! -f $root/$pattern ]] || printf '%s\0' "$pattern"
  done
}

shell_scripts() {
  local file head
  sources '*' | while IFS= read -r -d '' file; do
    case $file in *.sh | *.bash | *.envrc) printf '%s\0' "$file"; continue ;; esac
    IFS= read -r head <"$root/$file" 2>/dev/null || continue
    [[ $head =~ ^#!.*[/\ ](ba|da|)sh( |$) ]] && printf '%s\0' "$file"
  done
}

part_fmt() {
  local nix_files
  check 'rustfmt' in_helper cargo fmt --all --check -- --color never
  mapfile -d '' -t nix_files < <(sources '*.nix')
  local name
  for name in nixfmt deadnix; do
    command -v "$name" >/dev/null || { skip "$name" 'not installed (tests/setup)'; continue; }
    case $name in
      nixfmt) (cd "$root" && check nixfmt nixfmt -c "${nix_files[@]}") ;;
      deadnix) (cd "$root" && check deadnix deadnix --fail "${nix_files[@]}") ;;
    esac
  done
}

part_shell() {
  local scripts script
  command -v shellcheck >/dev/null || { skip shellcheck 'not installed (tests/setup)'; return; }
  mapfile -d '' -t scripts < <(shell_scripts)
  cd "$root" || return
  for script in "${scripts[@]}"; do
    case $script in
      *.envrc) check "shellcheck $script" shellcheck -s bash -e SC2148 "$script" ;;
      *) check "shellcheck $script" shellcheck -x -P SCRIPTDIR "$script" ;;
    esac
  done
}

part_build() { check 'both programs' in_helper cargo build --workspace --bins; }

part_clippy() { check 'clippy' in_helper cargo clippy --workspace --all-targets -- -D warnings; }

# `test result: ok. 3 passed; 0 failed; …`, a line for each test program, and one for each test that failed.
part_rust() {
  local log status passed ignored program name failed=()
  log=$(mktemp)
  in_helper cargo test --workspace --no-fail-fast 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  passed=$(awk '/^test result: /{p+=$4} END{print p+0}' "$log")
  count "$passed" 0 0
  ((passed > 0)) || fail 'cargo test ran no test'
  mapfile -t failed < <(failed_in_rust "$log")
  for name in "${failed[@]}"; do
    program=${name%% *} name=${name#* }
    if few ${#failed[@]} && [[ $program != - ]]; then
      again "$name" "$(said_in_rust "$log" "$name")" one_in_rust "$program" "$name"
    else
      fail "$name" "$(said_in_rust "$log" "$name")"
    fi
  done
  # A test program that does not compile, or dies, names no test.
  ((status == 0)) || ((${#failed[@]})) || fail "cargo test ended with $status"
  # What another test runs in a process of its own is not a test that is missing.
  ignored=$(grep -E '^test .* \.\.\. ignored' "$log" | grep -cvE 'ignored, (run|started) by ')
  ((ignored == 0)) || skip "$ignored Rust tests" 'marked #[ignore]'
  rm -f "$log"
}

# A line for each: the test program (`-` for an example in the documentation), and the test.
failed_in_rust() {
  awk '
    /^ +Running unittests /{program = "lib"}
    /^ +Running tests\//{program = $NF; sub(/.*\//, "", program); sub(/-[0-9a-f]+\)$/, "", program)}
    /^ +Doc-tests /{program = "-"}
    /^test .* \.\.\. FAILED$/{sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); print program, $0}' "$1"
}

# Its own words, without the way through the runtime to them.
said_in_rust() {
  awk -v name="---- $2 stdout ----" '
    $0 == name { on = 1; next }
    on && (/^---- / || /^failures:$/ || /^stack backtrace:/) { exit }
    on && NF' "$1" | head -n 12
}

one_in_rust() {
  local which=(--test "$1") out
  [[ $1 != lib ]] || which=(--lib --bins)
  out=$(in_helper cargo test --workspace "${which[@]}" -- --exact "$2" 2>&1) && [[ $out == *'ok. 1 passed'* ]]
}

# options.md is made by Nix, and checked with it (part nix).
part_docs() {
  local page fresh
  fresh=$(mktemp -d)
  for page in cli env errors config; do
    "$NIXBOX_HELPER" docs "$page" >"$fresh/$page.md"
    check "docs/reference/$page.md is current" diff -u "$root/docs/reference/$page.md" "$fresh/$page.md"
  done
  rm -rf "$fresh"
  # What the guide and the README show.
  python_tests docs
}

# Its lines are ours already, but what it skips need not be optional.
part_nix() {
  local line log status
  command -v nix >/dev/null || { skip nix 'not installed (tests/setup)'; return; }
  log=$(mktemp)
  "$tests_dir/nix/run" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  while IFS= read -r line; do
    case $line in
      'ok '*) pass "${line#ok }" ;;
      'not ok '*) fail "${line#not ok }" ;;
      'skip '*) skip_of_nix "${line#skip }" ;;
    esac
  done <"$log"
  ((status == 0)) || grep -q '^not ok' "$log" || fail "tests/nix/run ended with $status"
  rm -f "$log"
}

skip_of_nix() {
  local name=${1%: *} reason=${1##*: }
  [[ $reason =~ (NIXPKGS_LIB|(DEVENV|PCF|SERVICES_FLAKE|FLAKE_PARTS)_SRC|DEVENV_TASKS_BIN) ]] &&
    reason="optional: $reason"
  skip "$name" "$reason"
}

# tests/conftest.py reports each test itself; a crash of pytest would leave no line at all.
python_tests() {
  local all=$NIXBOX_RESULTS mine status
  python3 -c 'import pytest, pytest_timeout' 2>/dev/null || { skip pytest 'not installed (tests/setup)'; return; }
  mine=$(mktemp)
  NIXBOX_RESULTS=$mine in_tests "$@"
  status=$?
  ((status == 0 || status == 1)) || fail "pytest ended with $status"
  [[ -s $mine ]] || fail "pytest $* ran no test"
  if few "$(grep -c '^not ok ' "$mine")"; then
    failed_in_python "$mine"
    sed -i '/^not ok /d; /^| /d' "$mine"
  fi
  cat "$mine" >>"$all" && rm -f "$mine"
}

in_tests() { (cd "$tests_dir" && python3 -m pytest -p no:cacheprovider "$@"); }

# Each of them again. A test that also left something behind has two lines and is one test.
failed_in_python() {
  local name said
  sed -nE 's/^not ok (.*)$/\1/p' "$1" | sed -E 's/ \((setup|teardown)\)$//' | sort -u | while IFS= read -r name; do
    said=$(awk -v one="not ok $name" '/^[^|]/{on = index($0, one) == 1} on && /^\| /{print substr($0, 3)}' "$1")
    again "$name" "$said" one_in_python "$name" </dev/null
  done
}

one_in_python() { NIXBOX_RESULTS='' in_tests -q "$1"; }

part_templates() { python_tests e2e/test_templates.py; }
part_e2e() { python_tests e2e --ignore=e2e/test_templates.py; }
part_interop() { python_tests interop; }
part_chaos() { python_tests chaos; }

# That the benches work, not how fast this machine is: their gates are run by hand.
part_bench() { check 'bench --smoke' "$tests_dir/bench/run" --smoke; }

part_deny() {
  command -v cargo-deny >/dev/null || { skip cargo-deny 'not installed (tests/setup)'; return; }
  # It looks at the packages of every platform, and a build fetches only this one's.
  in_helper cargo fetch --locked --quiet
  # Not the advisories: those need the network, and change without us.
  check 'licences, bans, sources' in_helper cargo-deny --offline check licenses bans sources
}
