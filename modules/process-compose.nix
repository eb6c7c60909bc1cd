# services.agentfs for process-compose-flake. With services-flake beside it,
# use services-flake/agentfs.nix instead: it owns what lies below `services`.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  nixbox = import ./lib { inherit lib; };
  cfg = config.services.agentfs;
  process = import ./process-compose-process.nix { inherit lib pkgs; };

  failed =
    builtins.filter (a: !a.assertion) (nixbox.assertions { inherit cfg; })
    ++ lib.optional (options.services ? outputs) {
      message = "services-flake is here: declare agentfs as one of its services, with multiService and modules/services-flake/agentfs.nix";
    };
in
{
  imports = [ ./schema ];

  config = lib.mkIf cfg.enable {
    settings.processes = nixbox.check {
      inherit failed;
      warnings = nixbox.warnings cfg;
      value = lib.mapAttrs' (
        name: _:
        lib.nameValuePair "agentfs-${name}" (process {
          inherit name;
          inherit (cfg) package configFile;
        })
      ) (nixbox.enabled cfg);
    };
  };
}
