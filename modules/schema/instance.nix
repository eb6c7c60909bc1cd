# One instance: services.agentfs.instances.<name>.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  data = import ./data.nix { inherit lib; };
in
{
  imports = [
    ./hooks.nix
    ./kept-up.nix
    ./limits.nix
    ./mcp.nix
    ./mount.nix
  ];

  options = {
    description = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "scratch space for the code agent";
      description = "A line for people, shown by `nixbox-helper ps` and `info`.";
    };

    engine = mkOption {
      type = types.enum [
        "builtin"
        "agentfs"
      ];
      default = "builtin";
      example = "agentfs";
      description = ''
        What works on the database: nixbox itself, or upstream's program `agentfs`, looked after. The latter is that of
        `cliPackage`, else of `PATH`; while it runs, no verb can be answered, and it has less: no `exclude`, no
        `mount.readOnly`, no mount inside its own base.
      '';
    };

    base = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = ".";
      description = ''
        The folder that the instance lies over, relative to the project root: its files are seen in the instance, and
        never written to. Null: the instance begins empty. A string, so that nothing is copied to the Nix store.
      '';
    };

    exclude = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "node_modules" "/dist/*.js" ]'';
      description = "Patterns, as in a `.gitignore`, of what the instance does not show of its base.";
    };

    mode = mkOption {
      type = types.enum [
        "overlay"
        "direct"
        "ephemeral"
      ];
      default = "overlay";
      example = "ephemeral";
      description = ''
        Where changes go. `overlay` keeps them in the database, and the base as it is. `direct` writes to the base
        itself: there is nothing to review, and evaluation warns of it. `ephemeral` forgets them when the owner stops,
        unless it is told to keep them.
      '';
    };

    labels = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = literalExpression ''{ team = "search"; }'';
      description = "Free-form names and values to select instances by.";
    };

    env = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = literalExpression ''{ PIP_CACHE_DIR = "/tmp/pip"; }'';
      description = ''
        Extra variables that come with this instance. They land in the world-readable Nix store: what looks like
        a literal secret is refused; name a file instead (`…_FILE`).
      '';
    };

    http = mkOption {
      type = types.nullOr (types.submodule ./http.nix);
      default = null;
      example = literalExpression "{ port = 7420; }";
      description = "The HTTP surface (health, metrics, status, events, MCP). Null: none; an empty set: loopback on a free port.";
    };

    nfs = mkOption {
      type = types.nullOr (types.submodule ./nfs.nix);
      default = null;
      example = literalExpression "{ port = 2049; }";
      description = ''
        The instance over NFS version 3, which asks nobody for a password. `mount.readOnly`, `mount.uid` and `mount.gid`
        hold for it, too. Null: it is not served; an empty set: loopback on a free port.
      '';
    };

    encryption = mkOption {
      type = types.nullOr (types.submodule ./encryption.nix);
      default = null;
      example = literalExpression ''{ keyFile = "/run/secrets/sandbox"; }'';
      description = "Encrypts the database. Null: it is plain.";
    };

    sync = mkOption {
      type = types.nullOr (types.submodule ./sync.nix);
      default = null;
      example = literalExpression ''{ remote = "team"; }'';
      description = "Syncs the instance with a remote: when somebody says so (`nixbox-helper sync`), or by itself. Null: it is on this machine alone.";
    };

    settings = mkOption {
      type = data.table;
      default = { };
      example = literalExpression "{ mount.read_only = true; }";
      description = "Merged over this instance's rendered table, under the names of `nixbox.toml`.";
    };
  };
}
