# services.agentfs for process-compose-flake. With services-flake beside it,
# use services-flake/agentfs.nix instead: it owns what lies below `services`.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  nixbox = import ./lib { inherit lib; };
  cfg = config.services.agentfs;
  process = import ./process-compose-process.nix { inherit lib pkgs; };

  document = nixbox.render cfg;
  jobs = import ./job-process.nix { inherit lib; } document;
  helper = lib.getExe (
    import ./wrapper.nix { inherit pkgs; } {
      name = "agentfs-jobs";
      inherit (cfg) package configFile;
    }
  );

  failed =
    builtins.filter (a: !a.assertion) (nixbox.assertions { inherit cfg; })
    ++ lib.optional (options.services ? outputs) {
      message = "services-flake is here: declare agentfs as one of its services, with multiService and modules/services-flake/agentfs.nix";
    };
in
{
  imports = [ ./schema ];

  config = lib.mkIf cfg.enable {
    settings.processes = nixbox.check {
      inherit failed;
      warnings = nixbox.warnings cfg;
      value =
        lib.listToAttrs (
          map (one: lib.nameValuePair one.name (process (one // { inherit (cfg) package configFile; }))) (
            nixbox.processes document
          )
        )
        // lib.mapAttrs' (
          name: job:
          lib.nameValuePair "agentfs-job-${name}" (
            jobs.processCompose helper name job // { command = "exec ${helper} job ${name}"; }
          )
        ) jobs.jobs
        // lib.optionalAttrs (nixbox.schedules document != { }) {
          agentfs-schedules = {
            command = "exec ${helper} schedule keep";
            availability.restart = "on_failure";
            shutdown.timeout_seconds = 15;
          };
        };
    };
  };
}
