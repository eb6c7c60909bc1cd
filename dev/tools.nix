# What work on nixbox needs, for devenv.nix and flake.nix alike.
pkgs: [
  pkgs.cargo
  pkgs.clippy
  pkgs.deadnix
  pkgs.fuse3
  pkgs.jq
  pkgs.just
  pkgs.nixfmt
  pkgs.rustc
  pkgs.rustfmt
  pkgs.shellcheck
]
