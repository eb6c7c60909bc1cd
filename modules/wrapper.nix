# nixbox-helper with its configuration inside, for hosts that have no
# environment to put it in, or none that every caller sees. As arguments: by
# them the helper knows that a surrounding project's variables are not meant.
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
    exec ${package}/bin/nixbox-helper --config ${configFile} ${
      if root == null then "" else "--root ${root} "
    }"$@"
  '';
}
