{ lib, check, ... }:
let
  service = import ./systemd.nix { inherit lib; };
  unit =
    scope: backend: http:
    service {
      serve = "serve a";
      helper = "/bin/h";
      instance = {
        mount = { inherit backend; };
        inherit http;
        nfs = null;
      };
      inherit scope;
    };
  mounted = unit "system" "auto" null;
  served = unit "system" "none" { bind = "0.0.0.0"; };
  remote = service {
    serve = "remote serve team";
    helper = "/bin/h";
    scope = "system";
  };
  has = names: set: lib.filter (name: set ? ${name}) names;

  # from systemd.exec(5): each brings a mount namespace, or NoNewPrivileges
  hides = [
    "PrivateTmp"
    "PrivateDevices"
    "PrivateMounts"
    "ProtectSystem"
    "ProtectHome"
    "ProtectProc"
    "ProtectKernelTunables"
    "ProtectKernelModules"
    "ProtectKernelLogs"
    "ProtectControlGroups"
    "ProtectHostname"
    "ReadWritePaths"
    "ReadOnlyPaths"
    "InaccessiblePaths"
  ];
  disarms = [
    "NoNewPrivileges"
    "SystemCallFilter"
    "SystemCallArchitectures"
    "RestrictNamespaces"
    "RestrictRealtime"
    "RestrictSUIDSGID"
    "RestrictAddressFamilies"
    "LockPersonality"
    "MemoryDenyWriteExecute"
  ];
in
{
  "a remote is confined, and may give its server a network of its own" =
    check.equal
      {
        inherit (remote)
          ExecStart
          Type
          ProtectSystem
          NoNewPrivileges
          RestrictNamespaces
          IPAddressAllow
          ;
      }
      {
        ExecStart = "/bin/h remote serve team";
        Type = "notify";
        ProtectSystem = "strict";
        NoNewPrivileges = true;
        RestrictNamespaces = "user net";
        IPAddressAllow = "localhost";
      };
  "ready when the owner says so" =
    check.equal
      {
        inherit (mounted) Type NotifyAccess ExecStart;
      }
      {
        Type = "notify";
        NotifyAccess = "main";
        ExecStart = "/bin/h serve a";
      };
  "a mounting owner's mount is seen by others" = check.equal (has hides mounted) [ ];
  "a mounting owner may use fusermount3" = check.equal (has disarms mounted) [ ];
  "a mounting owner has one device" = check.equal mounted.DeviceAllow [ "/dev/fuse rw" ];
  "an owner that only serves is confined" = check.that (
    served.ProtectSystem == "strict" && served.NoNewPrivileges
  ) "it is not";
  "loopback means loopback" =
    check.equal
      {
        inherit (mounted) IPAddressDeny IPAddressAllow;
        open = served ? IPAddressDeny;
      }
      {
        IPAddressDeny = "any";
        IPAddressAllow = "localhost";
        open = false;
      };
  "a user's manager is asked for nothing it may not do" = check.equal (has (
    hides
    ++ [
      "DevicePolicy"
      "IPAddressDeny"
      "CapabilityBoundingSet"
    ]
  ) (unit "user" "none" null)) [ ];
  "there is time to unmount" = check.that (mounted.TimeoutStopSec > 5) (
    toString mounted.TimeoutStopSec
  );
  "wrong configuration is not tried again" = check.equal mounted.RestartPreventExitStatus "2 4 7";
}
