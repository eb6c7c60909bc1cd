{
  lib,
  check,
  services-flake, # modules -> { config; written; }
  ...
}:
let
  package = check.package "nixbox" "/package";
  of =
    agentfs:
    services-flake [ { services.agentfs = lib.mapAttrs (_: s: { inherit package; } // s) agentfs; } ];
  two = of {
    a = {
      enable = true;
      mount.path = "m";
    };
    b = {
      enable = true;
      dataDir = "./elsewhere";
    };
    off = { };
  };
in
{
  "one process for each service" = check.equal (lib.attrNames two.written.processes) [
    "a"
    "b"
  ];
  "the probe is the helper's own" =
    check.that (lib.hasSuffix "/bin/agentfs-a ready a --timeout 2" two.written.processes.a.readiness_probe.exec.command) two.written.processes.a.readiness_probe.exec.command;
  "each has a data directory of its own" =
    check.equal
      (lib.mapAttrs (_: s: s.dataDir) (lib.filterAttrs (_: s: s.enable) two.config.services.agentfs))
      {
        a = "./data/a";
        b = "./elsewhere";
      };
  "what is wrong is refused" = check.throws (
    (of {
      Bad.enable = true;
    }).written.processes.Bad.readiness_probe.exec.command
  );
}
