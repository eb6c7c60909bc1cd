# services.agentfs for devenv 1.4 and later. What a devenv can do is read off
# its own options, never off its version: modules and CLI may differ.
{
  config,
  lib,
  options,
  ...
}:
let
  nixbox = import ./lib { inherit lib; };
  cfg = config.services.agentfs;
  helper = "${cfg.package}/bin/nixbox-helper";
  document = nixbox.render cfg;
  instances = nixbox.enabled document;

  directory =
    parent: path: if path == null then "${parent}/agentfs" else nixbox.absolute config.devenv.root path;
  environment = nixbox.environment {
    inherit document;
    inherit (cfg) configFile;
    inherit (config.devenv) root;
    dataDir = directory config.devenv.state (document.data_dir or null);
    runtimeDir = directory config.devenv.runtime (document.runtime_dir or null);
  };

  process = import ./devenv-process.nix {
    inherit helper lib;
    has = options.processes.type.getSubOptions [ ];
  };

  jobs = import ./job-process.nix { inherit lib; } document;
  job = import ./devenv-job.nix {
    inherit helper lib jobs;
    has = options.processes.type.getSubOptions [ ];
  };

  # Only a running owner knows a port it picked; everything else is static.
  picksPort = lib.any (
    i:
    lib.any (s: i ? ${s} && i.${s}.enable or true && i.${s}.port or 0 == 0) [
      "http"
      "nfs"
    ]
  ) (lib.attrValues instances);
in
{
  imports = [ ./schema ];

  config = lib.mkIf cfg.enable {
    assertions = nixbox.assertions {
      inherit cfg;
      inherit (config.devenv) root;
    };

    warnings = nixbox.warnings cfg;

    packages = [ cfg.package ] ++ lib.optional (cfg.cliPackage != null) cfg.cliPackage;
    env = environment;

    processes =
      lib.listToAttrs (map (one: lib.nameValuePair one.name (process one)) (nixbox.processes document))
      // lib.mapAttrs' (name: value: lib.nameValuePair "agentfs-job-${name}" (job name value)) jobs.jobs
      // lib.optionalAttrs (nixbox.schedules document != { }) {
        agentfs-schedules = {
          exec = "exec ${helper} schedule keep";
        }
        // (
          if options.processes.type.getSubOptions [ ] ? shutdown then
            { shutdown.grace = 15; }
          else
            { process-compose.shutdown.timeout_seconds = 15; }
        );
      };

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
      if config.devenv.flakesIntegration then
        # here `devenv test` starts no processes
        "${helper} config check >&2"
      else
        lib.concatStringsSep "\n" (
          [ "${helper} wait --all --timeout 60" ]
          ++ map (name: "${helper} ready ${name} --timeout 5") (lib.attrNames instances)
        );
  };
}
