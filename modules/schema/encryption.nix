# services.agentfs.instances.<name>.encryption, where it is not null.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    cipher = mkOption {
      type = types.enum [
        "aes128gcm"
        "aes256gcm"
        "aegis256"
        "aegis256x2"
        "aegis256x4"
        "aegis128l"
        "aegis128x2"
        "aegis128x4"
      ];
      default = "aegis256";
      example = "aes256gcm";
      description = "The cipher. An existing database must have this one; `nixbox-helper rekey` gives it another.";
    };

    keyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/sandbox";
      description = ''
        The file that holds the key, relative to the project root: 64 hexadecimal digits, or 32 for a cipher with 128
        in its name. A string, so that nothing is copied to the Nix store; the owner reads it when it starts. Exactly
        one of `keyFile`, `keyCommand` and `keyEnv` is set.
      '';
    };

    keyCommand = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "pass" "show" "sandbox" ]'';
      description = "A program and its arguments, run without a shell in the project root, that prints the key.";
    };

    keyEnv = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "SANDBOX_KEY";
      description = "The name of the environment variable that holds the key when the owner starts.";
    };
  };
}
