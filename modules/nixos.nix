# services.agentfs for NixOS: a system service for each instance.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkIf
    mkOption
    types
    ;
  nixbox = import ./lib { inherit lib; };
  service = import ./systemd.nix { inherit lib; };
  cfg = config.services.agentfs;
  instances = nixbox.enabled cfg;
  state = "/var/lib/agentfs";
  runtime = "/run/agentfs";

  # `sudo nixbox-system ps` speaks to the very instances the units run
  helper = import ./wrapper.nix { inherit pkgs; } {
    name = "nixbox-system";
    root = cfg.dataDir;
    inherit (cfg) package configFile;
  };
  identity =
    what:
    mkOption {
      type = types.str;
      default = "agentfs";
      example = "alice";
      description = "The ${what} that owners run as; one named `agentfs` is created.";
    };

  unit =
    one:
    let
      instance = if one ? instance then instances.${one.instance} else null;
    in
    {
      description =
        if one ? instance then "AgentFS instance ${one.instance}" else "AgentFS remote ${one.remote}";
      wantedBy = [ "multi-user.target" ];
      inherit (import ./systemd-needs.nix { inherit lib; } one) wants requires after;
      unitConfig =
        lib.optionalAttrs (instance != null)
          (import ./systemd-restart.nix { inherit lib; } instance.restart).limit;
      path = [ "/run/wrappers" ]; # fusermount3
      serviceConfig =
        service {
          inherit (one) serve;
          inherit instance;
          helper = lib.getExe helper;
          scope = "system";
        }
        // {
          User = cfg.user;
          Group = cfg.group;
        }
        // (
          if cfg.dataDir == state then
            {
              StateDirectory = "agentfs";
              StateDirectoryMode = "0700";
            }
          else
            lib.optionalAttrs (instance == null || instance.mount.backend == "none") {
              ReadWritePaths = [ cfg.dataDir ];
            }
        )
        // lib.optionalAttrs (cfg.runtimeDir == runtime) {
          RuntimeDirectory = "agentfs";
          RuntimeDirectoryMode = "0700";
          # shared: one unit's stop must not take the others' sockets away
          RuntimeDirectoryPreserve = true;
        };
    };
  document = nixbox.render cfg;
  schedules = nixbox.schedules document;
  scheduled =
    name: schedule:
    import ./systemd-schedule.nix { inherit lib; } {
      inherit name schedule document;
      helper = lib.getExe helper;
    };
  jobUnit =
    name: job:
    let
      sections = import ./systemd-job.nix { inherit lib; } {
        inherit name job cfg;
        helper = lib.getExe helper;
      };
    in
    {
      description = "AgentFS job ${name}";
      wantedBy = [ "multi-user.target" ];
      unitConfig = sections.unit;
      serviceConfig = sections.service // {
        User = cfg.user;
        Group = cfg.group;
      };
    };
in
{
  imports = [ ./schema ];

  options.services.agentfs = {
    user = identity "user";
    group = identity "group";
  };

  config = lib.mkMerge [
    {
      services.agentfs = {
        dataDir = mkDefault state;
        runtimeDir = mkDefault runtime;
      };
    }
    (mkIf cfg.enable {
      assertions =
        nixbox.assertions {
          inherit cfg;
          root = cfg.dataDir;
        }
        ++ nixbox.systemdCanSay document;

      warnings = nixbox.warnings cfg;

      environment.systemPackages = [
        cfg.package
        helper
      ];
      systemd.services =
        lib.listToAttrs (
          map (one: lib.nameValuePair one.name (unit one)) (nixbox.processes (nixbox.render cfg))
        )
        // lib.mapAttrs' (name: job: lib.nameValuePair "agentfs-job-${name}" (jobUnit name job)) (
          lib.filterAttrs (_: job: job.enable) cfg.jobs
        )
        // lib.mapAttrs' (
          name: schedule:
          let
            sections = scheduled name schedule;
          in
          lib.nameValuePair "agentfs-schedule-${name}" {
            description = "AgentFS schedule ${name}";
            unitConfig = sections.unit;
            serviceConfig = sections.service // {
              User = cfg.user;
              Group = cfg.group;
            };
          }
        ) schedules;
      systemd.timers = lib.mapAttrs' (
        name: schedule:
        lib.nameValuePair "agentfs-schedule-${name}" {
          description = "The times of the AgentFS schedule ${name}";
          wantedBy = [ "timers.target" ];
          timerConfig = (scheduled name schedule).timer;
        }
      ) schedules;

      users.users = mkIf (cfg.user == "agentfs") {
        agentfs = {
          isSystemUser = true;
          inherit (cfg) group;
        };
      };
      users.groups = mkIf (cfg.group == "agentfs") { agentfs = { }; };

      programs.fuse =
        lib.optionalAttrs (options.programs.fuse ? enable) {
          enable = mkDefault (lib.any (i: i.mount.backend != "none") (lib.attrValues instances));
        }
        // {
          userAllowOther = mkIf (lib.any (i: i.mount.allowOther || i.mount.allowRoot) (
            lib.attrValues instances
          )) true;
        };
    })
  ];
}
