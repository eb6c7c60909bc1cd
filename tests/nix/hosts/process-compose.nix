# process-compose-flake from a checkout, with services-flake where it is given.
{
  lib,
  path,
  names,
  services ? null,
  real ? false,
}:
let
  pkgs = import ../pkgs { inherit lib names real; };
  pc = import (/. + path + "/nix/lib.nix") { inherit lib pkgs; };
  multi =
    lib.optional (services != null) (/. + services + "/nix/process-compose")
    ++ lib.optional (services != null) (
      (import (/. + services + "/nix/lib.nix")).multiService ../../../modules/services-flake/agentfs.nix
    );
in
modules:
let
  result = pc.evalModules { modules = multi ++ modules; };
in
{
  inherit (result) config;
  # what process-compose would read
  written = builtins.fromJSON (
    builtins.unsafeDiscardStringContext result.config.outputs.settingsFile.text
  );
}
