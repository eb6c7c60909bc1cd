# The environment nixbox is made in, nixbox included.
{ pkgs, ... }:
{
  services.agentfs = {
    enable = true;
    instances.sandbox.description = "scratch space for work on nixbox itself";
  };

  packages = import ./tools.nix pkgs;
}
