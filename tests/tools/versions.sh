# shellcheck shell=bash disable=SC2034
# Pinned programs from the Cargo registry. The others are pinned in requirements.txt, npm/package.json and
# process-compose/go.mod.
nixfmt_rs_version=0.5.3
deadnix_version=1.3.1
cargo_deny_version=0.20.2
