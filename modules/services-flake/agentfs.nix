# AgentFS as a services-flake service: each one is an instance with a document
# and a data directory of its own.
#
#   imports = [ (inputs.services-flake.lib.multiService inputs.nixbox.servicesFlakeModules.agentfs) ];
#   services.agentfs.sandbox.enable = true;
{
  config,
  lib,
  name,
  pkgs,
  ...
}:
let
  nixbox = import ../lib { inherit lib; };
  process = import ../process-compose-process.nix { inherit lib pkgs; };

  cfg = {
    inherit (config) dataDir logLevel remotes;
    runtimeDir = null;
    defaultInstance = name;
    # `enable` and `dataDir` come from multiService
    instances.${name} = config // {
      enable = true;
    };
    settings = { };
  };
in
{
  imports = [
    ../schema/instance.nix
    ../schema/owner.nix
    ../schema/remotes.nix
  ];

  options.configFile = lib.mkOption {
    type = lib.types.package;
    readOnly = true;
    default = nixbox.check {
      failed = builtins.filter (a: !a.assertion) (nixbox.assertions { inherit cfg; });
      warnings = nixbox.warnings cfg;
      value = pkgs.writeText "nixbox.toml" (nixbox.toTOML (nixbox.render cfg));
    };
    defaultText = lib.literalExpression ''pkgs.writeText "nixbox.toml" "…"'';
    description = "The rendered `nixbox.toml`, to be read only: what `NIXBOX_CONFIG` names.";
  };

  config.outputs.settings.processes = lib.listToAttrs (
    map (
      one:
      lib.nameValuePair (lib.removePrefix "agentfs-" one.name) (
        process (
          one
          // {
            inherit (config) package configFile;
            needs = lib.mapAttrs' (name: lib.nameValuePair (lib.removePrefix "agentfs-" name)) (
              one.needs or { }
            );
          }
        )
      )
    ) (nixbox.processes (nixbox.render cfg))
  );
}
