# A health check, of an instance and of a job.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  span = types.strMatching "[0-9]+ ?(ms|s|min|h)";
  orDefault =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };
in
{
  options = {
    exec = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "curl" "-fsS" "http://localhost:3000" ]'';
      description = ''
        A program and its arguments, which ends with 0 where all is well. Of a job it runs where the job does, of an
        instance in the project root. Either this or `http` is set.
      '';
    };

    http =
      orDefault types.str "http://127.0.0.1:3000/healthz"
        "An address, `http://HOST:PORT/PATH`, which answers with a status from 200 to 299 where all is well.";
    interval = orDefault span "30s" "From the end of one check to the next. Null: 10 seconds.";
    timeout = orDefault span "2s" "How long one may take. Null: 5 seconds.";
    retries =
      orDefault (types.ints.between 1 1000) 5
        "So many failures in a row mean that it is not well. Null: 3.";
    startPeriod =
      orDefault span "1min"
        "Failures count only so long after a start, or after the first success. Null: at once.";
  };
}
