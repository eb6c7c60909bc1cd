# services.agentfs for home-manager: a user service for each instance.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  nixbox = import ./lib { inherit lib; };
  service = import ./systemd.nix { inherit lib; };
  cfg = config.services.agentfs;

  # `nixbox-user ps`: session variables would reach into every project instead
  helper = import ./wrapper.nix { inherit pkgs; } {
    name = "nixbox-user";
    root = config.home.homeDirectory;
    inherit (cfg) package configFile;
  };

  restartOf =
    one: import ./systemd-restart.nix { inherit lib; } (nixbox.enabled cfg).${one.instance}.restart;
  unit =
    one:
    let
      needs = import ./systemd-needs.nix { inherit lib; } one;
    in
    {
      Unit = {
        Description =
          if one ? instance then "AgentFS instance ${one.instance}" else "AgentFS remote ${one.remote}";
      }
      // lib.optionalAttrs (one ? instance) (restartOf one).limit
      // lib.filterAttrs (_: units: units != [ ]) {
        Wants = needs.wants;
        Requires = needs.requires;
        After = needs.after;
      };
      Install.WantedBy = [ "default.target" ];
      Service =
        service {
          inherit (one) serve;
          instance = if one ? instance then (nixbox.enabled cfg).${one.instance} else null;
          helper = lib.getExe helper;
          scope = "user";
        }
        # fusermount3 is setuid: NixOS has it in the first, others in /usr/bin
        // {
          Environment = [ "PATH=/run/wrappers/bin:/usr/local/bin:/usr/bin:/bin" ];
        }
        // lib.optionalAttrs (cfg.runtimeDir == null) {
          # where the helper puts its sockets by default
          RuntimeDirectory = "nixbox";
          RuntimeDirectoryMode = "0700";
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
      Unit = {
        Description = "AgentFS job ${name}";
      }
      // sections.unit;
      Install.WantedBy = [ "default.target" ];
      Service = sections.service // {
        Environment = [ "PATH=/run/wrappers/bin:/usr/local/bin:/usr/bin:/bin" ];
      };
    };
in
{
  imports = [ ./schema ];

  config = lib.mkMerge [
    { services.agentfs.dataDir = lib.mkDefault "${config.xdg.dataHome}/agentfs"; }
    (lib.mkIf cfg.enable {
      assertions =
        nixbox.assertions {
          inherit cfg;
          root = config.home.homeDirectory;
        }
        ++ nixbox.systemdCanSay document;
      warnings = nixbox.warnings cfg;
      home.packages = [
        cfg.package
        helper
      ];
      systemd.user.services =
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
            Unit = {
              Description = "AgentFS schedule ${name}";
            }
            // sections.unit;
            Service = sections.service // {
              Environment = [ "PATH=/run/wrappers/bin:/usr/local/bin:/usr/bin:/bin" ];
            };
          }
        ) schedules;
      systemd.user.timers = lib.mapAttrs' (
        name: schedule:
        lib.nameValuePair "agentfs-schedule-${name}" {
          Unit.Description = "The times of the AgentFS schedule ${name}";
          Install.WantedBy = [ "timers.target" ];
          Timer = (scheduled name schedule).timer;
        }
      ) schedules;
    })
  ];
}
