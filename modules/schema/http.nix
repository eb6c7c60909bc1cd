# services.agentfs.instances.<name>.http, where it is not null.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    bind = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "::1";
      description = "The address to listen on. Anything but loopback lets other machines knock.";
    };

    port = mkOption {
      type = types.port;
      default = 0;
      example = 7420;
      description = "The port to listen on; 0 picks a free one, which `nixbox-helper url` prints.";
    };
  };
}
