# shellcheck shell=bash
# A private Nix store: nothing is written to /nix, and root or not, with or
# without a daemon, makes no difference. Sourced; sets NIX_* and $nix_state.
nix_state=${NIXBOX_TEST_STORE:-${TMPDIR:-/tmp}/nixbox-test-store-$(id -u)}
mkdir -p "$nix_state"/{store,var/nix,log,conf}
export NIX_STORE_DIR=$nix_state/store NIX_LOCALSTATE_DIR=$nix_state/var NIX_STATE_DIR=$nix_state/var/nix
export NIX_LOG_DIR=$nix_state/log NIX_CONF_DIR=$nix_state/conf NIX_REMOTE='' NIX_PATH=''
export NIX_CONFIG=$'build-users-group =\nsubstituters =\nsandbox = false\nbuilders ='

# mentioned DIR…: the packages that modules name, so that each can be a placeholder
mentioned() {
  {
    grep -rhoE '\bpkgs\.[A-Za-z_][A-Za-z0-9_-]*' "$@" --include='*.nix' | cut -d. -f2
    grep -rhoE 'mkPackageOption pkgs "[A-Za-z_][A-Za-z0-9_-]*"' "$@" --include='*.nix' | cut -d'"' -f2
    # named by interpolation
    printf '%s\n' cargo clippy rust-analyzer rustc rustfmt
  } 2>/dev/null | sort -u | grep -vxE 'lib|system|config|stdenv|formats|writers|rustPlatform' |
    jq -Rnc '[inputs]'
}
