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
  served = of {
    a = {
      enable = true;
      sync.remote = "team";
      remotes.team.serve = {
        port = 7440;
        package = null;
      };
    };
  };
in
{
  "a served remote is one more process, and who syncs with it waits for it" =
    let
      inherit (served.written) processes;
    in
    check.that (
      lib.attrNames processes == [
        "a"
        "remote-team"
      ]
      && processes.a.depends_on.remote-team.condition == "process_healthy"
      && lib.hasSuffix " remote serve team" processes.remote-team.command
    ) (builtins.toJSON processes);
  "one process for each service" = check.equal (lib.attrNames two.written.processes) [
    "a"
    "b"
  ];
  "the probe is the helper's own" =
    check.that (lib.hasSuffix "/bin/agentfs-a ready a --timeout 2" two.written.processes.a.readiness_probe.exec.command) two.written.processes.a.readiness_probe.exec.command;
  "each has a document and a data directory of its own" =
    check.equal
      (lib.mapAttrs (
        _: s:
        let
          document = fromTOML s.configFile.text;
        in
        {
          inherit (document) data_dir default_instance;
          instances = lib.attrNames document.instances;
        }
      ) (lib.filterAttrs (_: s: s.enable) two.config.services.agentfs))
      {
        a = {
          data_dir = "./data/a";
          default_instance = "a";
          instances = [ "a" ];
        };
        b = {
          data_dir = "./elsewhere";
          default_instance = "b";
          instances = [ "b" ];
        };
      };
  "what is wrong is refused" = check.throws (
    (of {
      Bad.enable = true;
    }).written.processes.Bad.readiness_probe.exec.command
  );
}
