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
      description = "The address to listen on. Anything but loopback lets other machines knock, and has to be allowed with `expose`.";
    };

    port = mkOption {
      type = types.port;
      default = 0;
      example = 7420;
      description = "The port to listen on; 0 picks a free one, which `nixbox-helper url` prints.";
    };

    expose = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether `bind` may be an address that other machines reach. What they send is not encrypted: the token, too,
        is seen by whoever listens on the way.
      '';
    };

    hosts = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "box.example.org" ];
      description = ''
        Names that callers may use for this machine, beside `localhost` and the address that they connect to. A
        request with any other name in its Host or Origin header is refused.
      '';
    };
  };
}
