# What an instance and a job have in common: order, restarts, health.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  imports = [ ./restart.nix ];

  options = {
    dependsOn = mkOption {
      type = types.attrsOf (
        types.enum [
          "started"
          "ready"
          "completed"
        ]
      );
      default = { };
      example = literalExpression ''{ migrate = "completed"; }'';
      description = "What has to be there before it starts, by the name of a job or an instance, and how far that has to be.";
    };

    health = mkOption {
      type = types.nullOr (types.submodule ./health.nix);
      default = null;
      example = literalExpression ''{ http = "http://127.0.0.1:3000/healthz"; }'';
      description = ''
        A check whether it is well; what follows where it is not is for `restart` to say. An instance is ready when its
        owner says so, whatever its health; a job that has a check is ready when that succeeds for the first time.
        `nixbox-helper up` makes the checks of instances, every process manager those of jobs, but systemd none.
      '';
    };
  };
}
