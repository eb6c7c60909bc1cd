# Against the interface of NixOS in small: what systemd would be told.
{ lib, check, ... }:
let
  pkgs = import ../tests/nix/pkgs { inherit lib; };
  skeleton.options =
    let
      any =
        default:
        lib.mkOption {
          type = lib.types.anything;
          inherit default;
        };
    in
    {
      assertions = any [ ];
      warnings = any [ ];
      environment.systemPackages = any [ ];
      systemd.services = any { };
      systemd.timers = any { };
      users.users = any { };
      users.groups = any { };
      programs.fuse.enable = any false;
      programs.fuse.userAllowOther = any false;
    };
  of =
    agentfs:
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        skeleton
        ./nixos.nix
        { services.agentfs = agentfs; }
      ];
    }).config;
  package = pkgs.writeText "nixbox" "";
  one = of {
    enable = true;
    inherit package;
    instances.a = { };
    instances.off.enable = false;
  };
  mine = of {
    enable = true;
    inherit package;
    user = "alice";
    group = "users";
    dataDir = "/srv/agentfs";
    runtimeDir = "/run/mine";
    instances.a.mount.backend = "none";
  };
  served = of {
    enable = true;
    inherit package;
    remotes.team.serve.port = 7440;
    instances.a.sync.remote = "team";
  };
  inherit (one.systemd.services.agentfs-a) serviceConfig;
in
{
  "a served remote is one more unit, and who syncs with it comes after it" =
    let
      inherit (served.systemd.services) agentfs-a agentfs-remote-team;
    in
    check.equal
      {
        inherit (agentfs-a) after wants;
        serves = lib.hasSuffix "/bin/nixbox-system remote serve team" agentfs-remote-team.serviceConfig.ExecStart;
        inherit (agentfs-remote-team) description;
        inherit (agentfs-remote-team.serviceConfig) User StateDirectory RuntimeDirectory;
        inherit (fromTOML served.services.agentfs.configFile.text) remotes;
      }
      {
        after = [ "agentfs-remote-team.service" ];
        wants = [ "agentfs-remote-team.service" ];
        serves = true;
        description = "AgentFS remote team";
        User = "agentfs";
        StateDirectory = "agentfs";
        RuntimeDirectory = "agentfs";
        remotes.team = {
          insecure = false;
          serve = {
            enable = true;
            port = 7440;
            program = "${served.services.agentfs.remotes.team.serve.package}/bin/tursodb";
          };
        };
      };
  "one unit for each enabled instance" = check.equal (lib.attrNames one.systemd.services) [
    "agentfs-a"
  ];
  "a job goes with its instance, and one that is awaited is a oneshot" =
    check.equal
      (
        let
          inherit
            (of {
              enable = true;
              inherit package;
              instances.a = { };
              jobs.seed.exec = [ "x" ];
              jobs.web = {
                exec = [ "x" ];
                dependsOn.seed = "completed";
                restart = {
                  on = "unless-stopped";
                  max = 2;
                  window = "5 min";
                };
              };
            })
            systemd
            ;
          web = systemd.services.agentfs-job-web;
        in
        {
          inherit (web) unitConfig;
          inherit (web.serviceConfig) Type Restart;
          seed = systemd.services.agentfs-job-seed.serviceConfig.Type;
          runs = lib.hasSuffix "/bin/nixbox-system job web" web.serviceConfig.ExecStart;
        }
      )
      {
        unitConfig = {
          BindsTo = [ "agentfs-a.service" ];
          Requires = [ "agentfs-job-seed.service" ];
          After = [
            "agentfs-a.service"
            "agentfs-job-seed.service"
          ];
          StartLimitIntervalSec = "5min";
          StartLimitBurst = 3;
        };
        Type = "exec";
        Restart = "always";
        seed = "oneshot";
        runs = true;
      };
  "an instance needs what it depends on, and stays while its remote is away" =
    check.equal
      (
        let
          b =
            (of {
              enable = true;
              inherit package;
              defaultInstance = "a";
              instances.a = { };
              instances.b = {
                dependsOn.seed = "completed";
                sync.remote = "team";
              };
              remotes.team.serve = {
                port = 9;
                inherit package;
              };
              jobs.seed.exec = [ "x" ];
            }).systemd.services.agentfs-b;
        in
        {
          inherit (b) wants requires after;
        }
      )
      {
        wants = [ "agentfs-remote-team.service" ];
        requires = [ "agentfs-job-seed.service" ];
        after = [
          "agentfs-job-seed.service"
          "agentfs-remote-team.service"
        ];
      };
  "systemd holds a job to its limits, and to its instance's" =
    check.equal
      (
        let
          inherit
            (of {
              enable = true;
              inherit package;
              instances.a.limits = {
                cpu = 2;
                memory = "1 GiB";
                pids = 9;
                files = 3;
              };
              jobs.web = {
                exec = [ "x" ];
                limits = {
                  cpu = 0.255;
                  memory = "500MB";
                };
              };
            })
            systemd
            ;
          service = systemd.services.agentfs-job-web.serviceConfig;
        in
        {
          inherit (service)
            CPUQuota
            MemoryMax
            MemorySwapMax
            TasksMax
            ;
          owner = systemd.services.agentfs-a.serviceConfig ? MemoryMax;
        }
      )
      {
        CPUQuota = "26%";
        MemoryMax = 500000000;
        MemorySwapMax = 0;
        TasksMax = 9;
        owner = false;
      };
  "a schedule is a timer and a service that it starts" =
    check.equal
      (
        let
          inherit
            (of {
              enable = true;
              inherit package;
              instances.a = { };
              schedules.nightly = {
                cron = "30 3 * * mon-fri";
                timezone = "Europe/Berlin";
                exec = [ "make" ];
                jitter = "10min";
                catchUp = true;
              };
              schedules.off = {
                enable = false;
                cron = "@daily";
                run = [ "status" ];
              };
            })
            systemd
            ;
          service = systemd.services.agentfs-schedule-nightly;
        in
        {
          timers = lib.mapAttrs (_: timer: { inherit (timer) wantedBy timerConfig; }) systemd.timers;
          inherit (service.unitConfig) After;
          inherit (service.serviceConfig) Type User;
          runs = lib.hasSuffix "/bin/nixbox-system schedule run --due nightly" service.serviceConfig.ExecStart;
        }
      )
      {
        timers.agentfs-schedule-nightly = {
          wantedBy = [ "timers.target" ];
          timerConfig = {
            OnCalendar = [ "Mon,Tue,Wed,Thu,Fri *-*-* 3:30:0 Europe/Berlin" ];
            Persistent = true;
            AccuracySec = "1s";
            RandomizedDelaySec = "10min";
            FixedRandomDelay = true;
          };
        };
        After = [ "agentfs-a.service" ];
        Type = "oneshot";
        User = "agentfs";
        runs = true;
      };
  "a schedule that systemd cannot say is refused" =
    let
      failed =
        builtins.filter (a: !a.assertion)
          (of {
            enable = true;
            inherit package;
            instances.a = { };
            schedules.odd = {
              cron = "0 0 15W * *";
              run = [ "status" ];
            };
          }).assertions;
    in
    check.that (lib.any (
      a: lib.hasInfix "schedules.odd: systemd has no words" a.message
    ) failed) "it is not";
  "the unit serves" =
    check.that (lib.hasSuffix "/bin/nixbox-system serve a" serviceConfig.ExecStart) serviceConfig.ExecStart;
  "the unit finds fusermount3" = check.equal one.systemd.services.agentfs-a.path [ "/run/wrappers" ];
  "state and runtime directories" =
    check.equal
      {
        inherit (serviceConfig)
          StateDirectory
          RuntimeDirectory
          RuntimeDirectoryPreserve
          User
          ;
      }
      {
        StateDirectory = "agentfs";
        RuntimeDirectory = "agentfs";
        RuntimeDirectoryPreserve = true;
        User = "agentfs";
      };
  "the document says the same" =
    check.equal
      {
        inherit (fromTOML one.services.agentfs.configFile.text) data_dir runtime_dir;
      }
      {
        data_dir = "/var/lib/agentfs";
        runtime_dir = "/run/agentfs";
      };
  "a user of its own" =
    check.equal
      {
        users = lib.attrNames one.users.users;
        groups = lib.attrNames one.users.groups;
      }
      {
        users = [ "agentfs" ];
        groups = [ "agentfs" ];
      };
  "a user that is there already" =
    check.equal
      {
        users = lib.attrNames mine.users.users;
        groups = lib.attrNames mine.users.groups;
        inherit (mine.systemd.services.agentfs-a.serviceConfig) User Group ReadWritePaths;
        state = mine.systemd.services.agentfs-a.serviceConfig ? StateDirectory;
        runtime = mine.systemd.services.agentfs-a.serviceConfig ? RuntimeDirectory;
      }
      {
        users = [ ];
        groups = [ ];
        User = "alice";
        Group = "users";
        ReadWritePaths = [ "/srv/agentfs" ];
        state = false;
        runtime = false;
      };
  "fuse is there where something mounts" =
    check.equal
      [
        one.programs.fuse.enable
        mine.programs.fuse.enable
      ]
      [
        true
        false
      ];
  "allow_other is permitted where it is asked for" =
    check.equal
      [
        one.programs.fuse.userAllowOther
        (of {
          enable = true;
          inherit package;
          instances.a.mount.allowOther = true;
        }).programs.fuse.userAllowOther
      ]
      [
        false
        true
      ];
  "assertions reach NixOS" = check.equal (builtins.length (
    lib.filter (a: !a.assertion)
      (of {
        enable = true;
        inherit package;
        instances.Bad = { };
      }).assertions
  )) 1;
  "warnings reach NixOS" = check.equal (builtins.length
    (of {
      enable = true;
      inherit package;
      instances.a = {
        base = "src";
        mode = "direct";
      };
      instances.b = { };
    }).warnings
  ) 1;
  "disabled: nothing is there" = check.equal (of { instances.a = { }; }).systemd.services { };
}
