# The [Service] section of one owner, or one remote, for NixOS ("system") and home-manager ("user").
{ lib }:
{
  serve, # what comes after `nixbox-helper`
  instance ? null, # null: it is a remote
  helper, # the wrapper's program
  scope,
}:
let
  mounted = instance != null && instance.mount.backend != "none";
  system = scope == "system";
  restart =
    if instance == null then
      {
        on = "on-failure";
        seconds = 2;
      }
    else
      import ./systemd-restart.nix { inherit lib; } instance.restart;
  loopback =
    instance == null
    ||
      lib.all
        (
          listener:
          listener == null
          || builtins.elem listener.bind [
            "127.0.0.1"
            "::1"
          ]
        )
        [
          instance.http
          instance.nfs
        ];

  # Each of these sets NoNewPrivileges, and that disarms the setuid
  # fusermount3: only for an owner that does not mount.
  filters = {
    NoNewPrivileges = true;
    # a remote puts its server into a network of its own
    RestrictNamespaces = if instance == null then "user net" else true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    LockPersonality = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
    ];
    RestrictAddressFamilies = [
      "AF_UNIX"
      "AF_INET"
      "AF_INET6"
    ];
  };

  # A mount namespace of its own would hide the mount from everybody else; and
  # a user's manager may not set these up.
  confined = {
    PrivateTmp = true;
    PrivateDevices = true;
    ProtectSystem = "strict";
    ProtectKernelTunables = true;
    ProtectKernelModules = true;
    ProtectKernelLogs = true;
    ProtectControlGroups = true;
    ProtectClock = true;
    ProtectHostname = true;
    CapabilityBoundingSet = "";
  };
in
{
  Type = "notify";
  NotifyAccess = "main";
  ExecStart = "${helper} ${serve}";
  Restart = restart.on;
  RestartSec = restart.seconds;
  # wrong configuration, held by another owner, refused: trying again is no help
  RestartPreventExitStatus = "2 4 7";
  TimeoutStartSec = 60;
  TimeoutStopSec = 15;
  # the owner unmounts by itself; only what it leaves is killed
  KillMode = "mixed";

  UMask = "0077";
  KeyringMode = "private";
}
// lib.optionalAttrs (!mounted) filters
// lib.optionalAttrs (!mounted && system) confined
# By cgroup: these ask for no namespace.
// lib.optionalAttrs (mounted && system) {
  DevicePolicy = "closed";
  DeviceAllow = [ "/dev/fuse rw" ];
}
// lib.optionalAttrs (loopback && system) {
  IPAddressDeny = "any";
  IPAddressAllow = "localhost";
}
