# services.agentfs.instances.<name>.nfs, where it is not null.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether it is served.";
    };

    bind = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "::1";
      description = "The address to listen on: of loopback, unless `expose` allows another.";
    };

    port = mkOption {
      type = types.port;
      default = 0;
      example = 2049;
      description = "The port to listen on; 0 picks a free one, which `nixbox-helper env` prints as `AGENTFS_NFS`.";
    };

    expose = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether `bind` may be an address that other machines reach. They may then do whatever they like with the instance.
      '';
    };
  };
}
