# The AGENTFS_* variables that are known before anything runs: what
# `nixbox-helper env` prints, less what only a running owner can tell.
{ lib }:
{
  cfg,
  root, # absolute
  dataDir, # absolute
  runtimeDir, # absolute
}:
let
  nixbox = import ./lib { inherit lib; };

  bracketed = host: if lib.hasInfix ":" host then "[${host}]" else host;
  present = lib.filterAttrs (_: value: value != null);

  variables =
    name: instance:
    let
      inherit (instance) mount http;
      fixedPort = http != null && http.port != 0;
    in
    present {
      ENABLED = "1";
      ID = name;
      DATA_DIR = dataDir;
      DB_NAME = "${name}.db";
      DB = "${dataDir}/${name}.db";
      MOUNT =
        if mount.backend == "none" then
          null
        else if mount.path == null then
          "${dataDir}/mnt/${name}"
        else
          nixbox.absolute root mount.path;
      SOCKET = "${runtimeDir}/${name}.sock";
      HOST = if fixedPort then http.bind else null;
      PORT = if fixedPort then toString http.port else null;
      URL = if fixedPort then "http://${bracketed http.bind}:${toString http.port}" else null;
      TOKEN_FILE = if http == null then null else "${runtimeDir}/${name}.token";
      LOG_LEVEL = cfg.logLevel;
    };

  prefixed = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}_${name}");
  instances = nixbox.enabled cfg;
  own = lib.concatMapAttrs (
    name: instance: prefixed "AGENTFS_${nixbox.envName name}" (variables name instance)
  ) instances;
  default = lib.optionalAttrs (cfg.defaultInstance != null && instances ? ${cfg.defaultInstance}) (
    prefixed "AGENTFS" (variables cfg.defaultInstance instances.${cfg.defaultInstance})
  );
in
{
  AGENTFS_DATA_DIR = dataDir;
  NIXBOX_CONFIG = "${cfg.configFile}";
}
// own
// default
