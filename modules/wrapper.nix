# nixbox-helper with its configuration inside, for hosts that have no
# environment to put it in, or none that every caller sees.
{ pkgs }:
{
  name,
  package,
  configFile,
  root ? null, # where relative paths start; null: the folder it is called in
}:
pkgs.writeShellApplication {
  inherit name;
  text = ''
    export NIXBOX_CONFIG=${configFile}
    ${if root == null then "" else "export NIXBOX_ROOT=${root}"}
    exec ${package}/bin/nixbox-helper "$@"
  '';
}
