# The daily commands; CONTRIBUTING.md says when to use which.

set shell := ["bash", "-euc"]

default:
    @just --list

# What the tests need, on a bare Debian machine
setup:
    tests/setup

# Every test, or the parts named (`just test e2e chaos`)
test *parts:
    tests/run {{ parts }}

# The random tests at their full numbers, for hours (`just nightly chaos`)
nightly *parts:
    NIXBOX_NIGHTLY=1 tests/run {{ parts }}

# All that complains without running anything
lint:
    tests/run fmt shell clippy deny

# Bring everything into its one format
fmt:
    cargo fmt --all --manifest-path helper/Cargo.toml
    . tests/lib/tools.sh && use_tools && git ls-files -z "*.nix" | xargs -0 nixfmt

# Write the generated pages anew: the program's own, then the options
docs: build
    for page in cli env errors config; do helper/target/debug/nixbox-helper docs $page >docs/reference/$page.md; done
    tests/nix/options-doc >docs/reference/options.md

# Measure, and fail over budget
bench *args:
    tests/bench/run {{ args }}

build:
    cargo build --workspace --manifest-path helper/Cargo.toml

# See the whole thing once, in a temporary folder
quickstart:
    cargo build --profile first --manifest-path helper/Cargo.toml
    helper/target/first/nixbox-helper quickstart
