# The options of services.agentfs itself.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  nixbox = import ../lib { inherit lib; };
  data = import ./data.nix { inherit lib; };
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to bring up the declared AgentFS instances.";
    };

    cliPackage = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = literalExpression "inputs.agentfs.packages.\${pkgs.stdenv.hostPlatform.system}.default";
      description = ''
        The package that holds upstream's `agentfs` command, for the script `agentfs-cli` and for instances with
        `engine = "agentfs"`. nixpkgs has none, so there is no default. Nothing else here needs it.
      '';
    };

    dataDir = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = ".agentfs";
      description = ''
        Where the databases live, relative to the project root. Null: `$AGENTFS_DATA_DIR`, else
        `$DEVENV_STATE/agentfs`, else `.agentfs`. A string, so that nothing is copied to the Nix store.
      '';
    };

    runtimeDir = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/user/1000/agentfs";
      description = ''
        Where sockets and tokens live while an owner runs. Null: `$DEVENV_RUNTIME/agentfs`, else a folder of the
        project's own below `$XDG_RUNTIME_DIR/nixbox`. Keep it short: a socket's path has at most 107 bytes.
      '';
    };

    defaultInstance = mkOption {
      type = types.nullOr types.str;
      default = nixbox.defaultInstance config;
      defaultText = lib.literalMD "the only enabled instance, else `default` where it is enabled, else null";
      example = "sandbox";
      description = "The instance that the unprefixed `AGENTFS_*` variables mean, and a verb without a name.";
    };

    instances = mkOption {
      type = types.attrsOf (
        types.submodule {
          imports = [
            ./enable.nix
            ./instance.nix
          ];
        }
      );
      default = { };
      example = literalExpression ''{ sandbox.mount.path = ".agentfs/mnt"; }'';
      description = "The AgentFS instances, by name: lower case letters, digits, `-` and `_`, at most 63.";
    };

    settings = mkOption {
      type = data.table;
      default = { };
      example = literalExpression ''{ log_level = "trace"; }'';
      description = ''
        Merged over the rendered document, under the names of `nixbox.toml`: for keys that have no option here.
        The helper refuses keys it does not know.
      '';
    };

    configFile = mkOption {
      type = types.package;
      readOnly = true;
      default = pkgs.writeText "nixbox.toml" (nixbox.toTOML (nixbox.render config));
      defaultText = literalExpression ''pkgs.writeText "nixbox.toml" "…"'';
      example = literalExpression "config.services.agentfs.configFile";
      description = "The rendered `nixbox.toml`, to be read only: what `NIXBOX_CONFIG` names.";
    };
  };
}
