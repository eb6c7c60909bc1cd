# services.agentfs.instances.<name>.limits
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.limits = {
    size = mkOption {
      type = types.nullOr (
        types.either (types.strMatching "0*[1-9][0-9]* ?([KkMmGgTt][Ii]?[Bb]|[Bb])?") types.ints.positive
      );
      default = null;
      example = "2GiB";
      description = ''
        How many bytes of content the instance may hold itself; of a base counts only what has been changed. Beyond it
        writing fails with `ENOSPC`. Null: what the disk has.
      '';
    };

    files = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 100000;
      description = "How many files, folders and links it may hold. Beyond it making one fails with `EDQUOT`. Null: no limit.";
    };
  }
  # for each command and each job in it, where that does not say it itself
  // import ./share.nix { inherit lib; };
}
