# The programs that cargo built here, as a package.
{ pkgs, helper }:
pkgs.runCommand "nixbox" { } ''
  mkdir -p $out/bin
  for program in nixbox-helper nixbox-owner; do
    ln -s ${builtins.dirOf helper}/$program $out/bin/$program
  done
''
