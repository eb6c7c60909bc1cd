# Against the interface of home-manager in small.
{ lib, check, ... }:
let
  pkgs = import ../tests/nix/pkgs { inherit lib; };
  skeleton =
    let
      any =
        default:
        lib.mkOption {
          type = lib.types.anything;
          inherit default;
        };
    in
    {
      options = {
        assertions = any [ ];
        warnings = any [ ];
        home.homeDirectory = any "/home/alice";
        home.packages = any [ ];
        xdg.dataHome = any "/home/alice/.local/share";
        systemd.user.services = any { };
        systemd.user.timers = any { };
      };
    };
  of =
    agentfs:
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        skeleton
        ./home-manager.nix
        {
          services.agentfs = {
            package = pkgs.writeText "nixbox" "";
          }
          // agentfs;
        }
      ];
    }).config;
  one = of {
    enable = true;
    instances.a = { };
  };
  served = of {
    enable = true;
    remotes.team.serve.port = 7440;
    instances.a.sync.remote = "team";
  };
  unit = one.systemd.user.services.agentfs-a;
in
{
  "a served remote is one more unit, and who syncs with it comes after it" =
    let
      inherit (served.systemd.user.services) agentfs-a agentfs-remote-team;
    in
    check.that (
      agentfs-a.Unit.After == [ "agentfs-remote-team.service" ]
      && agentfs-a.Unit.Wants == [ "agentfs-remote-team.service" ]
      && lib.hasSuffix "/bin/nixbox-user remote serve team" agentfs-remote-team.Service.ExecStart
    ) (builtins.toJSON served.systemd.user.services);
  "the unit serves" =
    check.that (lib.hasSuffix "/bin/nixbox-user serve a" unit.Service.ExecStart) unit.Service.ExecStart;
  "it asks a user's manager for nothing it may not do" = check.that (
    !(unit.Service ? DevicePolicy)
  ) "DevicePolicy is set";
  "it starts with the session" = check.equal unit.Install.WantedBy [ "default.target" ];
  "it finds fusermount3" =
    check.that (lib.any (lib.hasInfix "/run/wrappers/bin:") unit.Service.Environment) "no PATH";
  "sockets have a folder that stays" =
    check.equal
      {
        inherit (unit.Service) RuntimeDirectory RuntimeDirectoryPreserve;
      }
      {
        RuntimeDirectory = "nixbox";
        RuntimeDirectoryPreserve = true;
      };
  "data is the user's" =
    check.equal (fromTOML one.services.agentfs.configFile.text).data_dir "/home/alice/.local/share/agentfs";
  "relative paths start at home" = check.that (lib.any (
    p: lib.hasInfix "--root /home/alice " (p.text or "")
  ) one.home.packages) "no --root";
  "a schedule is a timer and a service that it starts" =
    let
      inherit
        (of {
          enable = true;
          instances.a = { };
          schedules.nightly = {
            cron = "@daily";
            run = [ "status" ];
          };
        })
        systemd
        ;
    in
    check.equal
      {
        inherit (systemd.user.timers.agentfs-schedule-nightly) Install Timer;
        inherit (systemd.user.services.agentfs-schedule-nightly.Service) Type;
        runs = lib.hasSuffix "/bin/nixbox-user schedule run --due nightly" systemd.user.services.agentfs-schedule-nightly.Service.ExecStart;
      }
      {
        Install.WantedBy = [ "timers.target" ];
        Timer = {
          OnCalendar = [ "*-*-* 0:0:0" ];
          Persistent = false;
          AccuracySec = "1s";
        };
        Type = "oneshot";
        runs = true;
      };
  "disabled: nothing is there" = check.equal (of { instances.a = { }; }).systemd.user.services { };
}
