# services.agentfs for devenv 1.4 and later. What a devenv can do is read off
# its own options, never off its version: modules and CLI may differ.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkIf mkMerge optionalAttrs;
  nixbox = import ./lib { inherit lib; };
  cfg = config.services.agentfs;
  helper = "${cfg.package}/bin/nixbox-helper";
  document = nixbox.render cfg;
  instances = nixbox.enabled document;

  # undefined options fail even below `mkIf false`, hence optionalAttrs
  has = options.processes.type.getSubOptions [ ];
  typed = has ? ready; # 2.0: devenv itself supervises
  flakeMode = config.devenv.flakesIntegration;

  directory =
    parent: path: if path == null then "${parent}/agentfs" else nixbox.absolute config.devenv.root path;
  environment = nixbox.environment {
    inherit document;
    inherit (cfg) configFile;
    inherit (config.devenv) root;
    dataDir = directory config.devenv.state (document.data_dir or null);
    runtimeDir = directory config.devenv.runtime (document.runtime_dir or null);
  };

  # The probe gives up by itself, well before a manager's patience ends: a
  # manager that abandons a probe may leave it running for ever.
  probe = name: "${helper} ready ${name} --timeout 2";
  patience = 5;
  # With one probe a second this is a minute to come up. process-compose takes
  # the threshold as fatal, the native manager ignores it.
  attempts = 60;

  process =
    name:
    mkMerge [
      {
        # 1.x knows no order between tasks and processes
        exec = "${lib.optionalString (!typed) "${helper} init ${name} && "}exec ${helper} serve ${name}";
      }
      (optionalAttrs typed {
        # no `notify`, no `timeout`: under process-compose both would switch this probe off
        ready = {
          exec = probe name;
          period = 1;
          probe_timeout = patience;
          failure_threshold = attempts;
        };
        # `window` stays unset for the same reason
        restart = {
          on = "on_failure";
          max = 5;
        };
        # without a suffix: process-compose refuses "@succeeded"
        after = [ "agentfs:init" ];
      })
      # 2.0 to 2.2: the native manager's five seconds are enough, if need be
      (
        if has ? shutdown then
          { shutdown.grace = 15; }
        else
          { process-compose.shutdown.timeout_seconds = 15; }
      )
      (optionalAttrs (!typed) {
        process-compose = {
          readiness_probe = {
            exec.command = probe name;
            period_seconds = 1;
            timeout_seconds = patience;
            failure_threshold = attempts;
          };
          availability = {
            restart = "on_failure";
            max_restarts = 5;
          };
        };
      })
    ];

  # Only a running owner knows a port it picked; everything else is static.
  picksPort = lib.any (i: i ? http && i.http.port or 0 == 0) (lib.attrValues instances);
in
{
  imports = [ ./schema ];

  config = mkIf cfg.enable {
    assertions = nixbox.assertions {
      inherit cfg;
      inherit (config.devenv) root;
    };

    packages = [ cfg.package ] ++ lib.optional (cfg.cliPackage != null) cfg.cliPackage;
    env = environment;

    processes = lib.mapAttrs' (name: _: lib.nameValuePair "agentfs-${name}" (process name)) instances;

    # Upstream of the processes: `devenv up` skips what is downstream of one.
    # Other managers run it once for each process at the same time; the helper
    # takes a lock.
    tasks."agentfs:init" = {
      description = "Create what the declared AgentFS instances need";
      exec = "${helper} init";
    };

    scripts = import ./scripts.nix { inherit cfg helper; };

    # direnv waits for whatever keeps its descriptors, and reads stdout: nothing
    # is started here, and nothing is printed.
    enterShell = lib.optionalString picksPort ''
      if agentfs_env=$(${helper} env 2>/dev/null); then eval "$agentfs_env"; fi
      unset agentfs_env
    '';

    enterTest =
      if flakeMode then
        # here `devenv test` starts no processes
        "${helper} config check >&2"
      else
        lib.concatStringsSep "\n" (
          [ "${helper} wait --all --timeout ${toString attempts}" ]
          ++ map (name: "${helper} ready ${name} --timeout ${toString patience}") (lib.attrNames instances)
        );
  };
}
