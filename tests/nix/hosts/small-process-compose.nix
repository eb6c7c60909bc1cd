# process-compose-flake's interface in small.
{
  lib,
  extra ? [ ],
}:
let
  pkgs = import ../pkgs { inherit lib; };
  skeleton.options.settings.processes = lib.mkOption {
    type = lib.types.attrsOf lib.types.anything;
    default = { };
  };
in
modules:
let
  result = lib.evalModules {
    specialArgs = { inherit pkgs; };
    modules = [ skeleton ] ++ extra ++ modules;
  };
in
{
  inherit (result) config;
  written = result.config.settings;
}
