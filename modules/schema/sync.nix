# services.agentfs.instances.<name>.sync, where it is not null.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    remote = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "team";
      description = "The name of one of `services.agentfs.remotes`. Needed.";
    };

    partial = mkOption {
      type = types.nullOr (types.submodule ./partial.nix);
      default = null;
      example = literalExpression ''{ bootstrapLength = "16MiB"; }'';
      description = ''
        Names and metadata come with a pull, and content when it is read. Null: all of it comes at once. An empty set: nothing
        of it does.
      '';
    };
  };
}
