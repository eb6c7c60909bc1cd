# The environment nixbox is made in, nixbox included.
{ pkgs, ... }:
{
  services.agentfs = {
    enable = true;
    instances.sandbox.description = "scratch space for work on nixbox itself";
  };

  packages = [
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
  ];
}
