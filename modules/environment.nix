# The AGENTFS_* variables that are known before anything runs: what
# `nixbox-helper env` prints, less what only a running owner can tell. Read off
# the rendered document, as the helper does, so that `settings` count, too.
{ lib }:
{
  document, # what render.nix made
  configFile,
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
      mount = instance.mount or { };
      http = instance.http or null;
      bind = http.bind or "127.0.0.1";
      port = http.port or 0;
      nfs = instance.nfs or { };
      fixed = value: if port != 0 then value else null;
    in
    present {
      ENABLED = "1";
      ID = name;
      DATA_DIR = dataDir;
      DB_NAME = "${name}.db";
      DB = "${dataDir}/${name}.db";
      MOUNT =
        if mount.backend or "auto" == "none" then
          null
        else if mount ? path then
          nixbox.absolute root mount.path
        else
          "${dataDir}/mnt/${name}";
      SOCKET = "${runtimeDir}/${name}.sock";
      HOST = fixed bind;
      PORT = fixed (toString port);
      URL = fixed "http://${bracketed bind}:${toString port}";
      NFS =
        if nfs.enable or true && nfs.port or 0 != 0 then
          "${bracketed (nfs.bind or "127.0.0.1")}:${toString nfs.port}"
        else
          null;
      TOKEN_FILE = if http == null then null else "${runtimeDir}/${name}.token";
      LOG_LEVEL = document.log_level;
    };

  prefixed = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}_${name}");
  instances = nixbox.enabled document;
  own = lib.concatMapAttrs (
    name: instance: prefixed "AGENTFS_${nixbox.envName name}" (variables name instance)
  ) instances;
  name = document.default_instance or "";
  default = lib.optionalAttrs (instances ? ${name}) (
    instances.${name}.env or { } // prefixed "AGENTFS" (variables name instances.${name})
  );
in
default
// own
// {
  AGENTFS_DATA_DIR = dataDir;
  AGENTFS_LOG_LEVEL = document.log_level;
  NIXBOX_CONFIG = "${configFile}";
}
