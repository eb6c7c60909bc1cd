# services.agentfs.jobs.<name>.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  imports = [ ./kept-up.nix ];

  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether this job is brought up.";
    };

    instance = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "sandbox";
      description = "The instance that it runs in. Null: the default one.";
    };

    exec = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ \"npm\" "run" "dev" ]'';
      description = ''
        The program and its arguments, and needed. It sees the instance in the place of the project folder. No shell reads them; where
        one should: `[ "sh" "-c" "…" ]`.
      '';
    };

    cwd = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "web";
      description = "The folder to begin in, from the project folder as the job sees it. Null: that folder.";
    };

    env = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = literalExpression ''{ NODE_ENV = "development"; }'';
      description = ''
        Variables for it. They land in the world-readable Nix store: what looks like a literal secret is refused; name a
        file instead (`…_FILE`).
      '';
    };

    watch = mkOption {
      type = types.nullOr (types.submodule ./watch.nix);
      default = null;
      example = literalExpression ''{ paths = [ "src" ]; }'';
      description = ''
        What of the instance it is started anew for when it changes. When its command has ended by itself, that is run
        again at the next change, unless `restart.on` is `always` or `unless-stopped`. Null: nothing.
      '';
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "nobody";
      description = "Who runs it, as `USER` or `USER:GROUP`, by name or number; for root alone.";
    };

    stdin = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "fixtures/input.json";
      description = "The file that is its standard input, relative to the project root. Null: that is empty.";
    };

    limits = import ./share.nix { inherit lib; };

    log = {
      maxSize = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "50MiB";
        description = "A file of its output that would grow beyond this is put aside, and a new one begun. Null: 10 MiB. For `nixbox-helper up`.";
      };
      keep = mkOption {
        type = types.nullOr (types.ints.between 0 100);
        default = null;
        example = 2;
        description = "So many that were put aside are kept. Null: 5. For `nixbox-helper up`.";
      };
    };
  };
}
