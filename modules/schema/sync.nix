# services.agentfs.instances.<name>.sync, where it is not null.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  span = types.strMatching "[0-9]+ ?(ms|s|min|h)";
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

    mode = mkOption {
      type = types.enum [
        "manual"
        "periodic"
        "real-time"
        "follow"
      ];
      default = "manual";
      example = "periodic";
      description = ''
        When: `manual`, when somebody says so with `nixbox-helper sync`; `periodic`, every `interval`; `real-time`, soon
        after each change; `follow` only takes what others write, and is read-only. In `periodic` and `real-time` the owner
        holds the remote's lease for as long as it runs, and nobody else writes there.
      '';
    };

    interval = mkOption {
      type = types.nullOr span;
      default = null;
      example = "5min";
      description = ''
        How long from one sync to the next, at least `1s`; a little more or less each time, so that not all machines come at
        once. In `periodic` and `follow`. Null: `30s`.
      '';
    };

    debounce = mkOption {
      type = types.nullOr span;
      default = null;
      example = "2s";
      description = ''
        How long nothing must change before it is pushed, at least `10ms`; where it goes on changing, ten times that. In
        `real-time`. Null: `500ms`.
      '';
    };

    pullOnStart = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = ''
        Whether what the remote has is taken before the instance is ready. Null: in every mode but `manual`; those that
        write by themselves always do.
      '';
    };

    pushOnStop = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = ''
        Whether what is here is pushed when the owner stops, as far as its last seconds allow. Null: in `periodic` and
        `real-time`.
      '';
    };

    offline = mkOption {
      type = types.nullOr (
        types.enum [
          "refuse"
          "allow"
        ]
      );
      default = null;
      example = "allow";
      description = ''
        What a start does that cannot reach the remote: `refuse` ends, `allow` goes on with what is here. Null: `refuse`.
      '';
    };

    lease = mkOption {
      type = types.nullOr span;
      default = null;
      example = "10min";
      description = ''
        How long the remote's lease is good for without being renewed, at least `2s`: how long others wait for a machine
        that was cut off, and how long one may be cut off that writes. Null: `2min`.
      '';
    };
  };
}
