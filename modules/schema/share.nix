# What a job, or each command in an instance, may take of the machine.
{ lib }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  cpu = mkOption {
    type = types.nullOr (types.either types.float types.ints.positive);
    default = null;
    example = literalExpression "1.5";
    description = "So many processors at a time. Null: no limit.";
  };

  memory = mkOption {
    type = types.nullOr (
      types.either (types.strMatching "0*[1-9][0-9]* ?([KkMmGgTt][Ii]?[Bb]|[Bb])?") types.ints.positive
    );
    default = null;
    example = "1GiB";
    description = "So much memory, with all that it starts; what needs more is killed. Null: no limit.";
  };

  pids = mkOption {
    type = types.nullOr (types.ints.between 1 4194304);
    default = null;
    example = 200;
    description = "So many processes and threads; beyond it starting one fails. Null: no limit.";
  };

  timeout = mkOption {
    type = types.nullOr (types.strMatching "[0-9]+ ?(ms|s|min|h)");
    default = null;
    example = "10min";
    description = "How long it may run; after that it is told to end, and killed five seconds later. Null: no limit.";
  };
}
