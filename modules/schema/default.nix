# services.agentfs, as every host shares it. A host module imports this file,
# gives what only it can know (package, directories) and translates the rest.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  part =
    file:
    (import file {
      inherit lib pkgs;
      config = config.services.agentfs;
    }).options;
in
{
  # A tree of options rather than one submodule, so that a host can add its own.
  options.services.agentfs =
    part ./agentfs.nix
    // part ./jobs.nix
    // part ./owner.nix
    // part ./remotes.nix
    // part ./schedules.nix;
}
