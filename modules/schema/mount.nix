# services.agentfs.instances.<name>.mount
{ lib, ... }:
let
  inherit (lib) mkOption types;
  flag =
    default: description:
    mkOption {
      type = types.bool;
      example = !default;
      inherit default description;
    };
  id =
    what:
    mkOption {
      type = types.nullOr types.ints.unsigned;
      default = null;
      example = 1000;
      description = "Show every file as owned by this ${what}, whatever the database says. Null: as the database says.";
    };
in
{
  options.mount = {
    path = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = ".agentfs/mnt";
      description = ''
        Where the instance is mounted, relative to the project root. Null: `mnt/<name>` in the data directory.
        A string, so that nothing is copied to the Nix store.
      '';
    };

    backend = mkOption {
      type = types.enum [
        "auto"
        "fuse"
        "nfs"
        "none"
      ];
      default = "auto";
      example = "none";
      description = ''
        How to mount: `auto` takes FUSE, and the kernel's NFS where there is no FUSE; `none` does not mount at all.
        By NFS only root mounts.
      '';
    };

    readOnly = flag false "Whether to refuse writes through the mount.";
    allowRoot = flag false "Whether root, too, may enter the mount. Not together with `allowOther`.";
    allowOther = flag false "Whether every user may enter the mount; needs `user_allow_other` in `/etc/fuse.conf`.";
    create = flag true "Whether to create the mountpoint where it is missing, and to remove it again.";

    uid = id "user id";
    gid = id "group id";
  };
}
