# services.agentfs.instances.<name>.sync.partial, where it is not null.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  size = types.nullOr (
    types.either (types.strMatching "0*[1-9][0-9]* ?([KkMmGgTt][Ii]?[Bb]|[Bb])?") types.ints.positive
  );
in
{
  options = {
    prefetch = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = "Load the rest while the owner serves, after whoever reads. Null: no.";
    };

    segmentSize = mkOption {
      type = size;
      default = null;
      example = "64KiB";
      description = "How much of a file comes at once, around what is read; at most 1 MiB. Null: 128 KiB.";
    };

    bootstrapLength = mkOption {
      type = size;
      default = null;
      example = "16MiB";
      description = "How much of the content comes with a pull, the smallest files first. Null: nothing.";
    };

    bootstrapQuery = mkOption {
      type = types.nullOr (types.strMatching "[Ss][Ee][Ll][Ee][Cc][Tt][[:space:]][^;]*");
      default = null;
      example = "SELECT ino FROM fs_dentry WHERE name LIKE '%.md'";
      description = "What else comes with a pull: one `SELECT` that the remote answers with inode numbers or paths, one a row.";
    };
  };
}
