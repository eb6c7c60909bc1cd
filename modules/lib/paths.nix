# A path as the helper means it: absolute, from the project root, without `.`
# and `..`. Nothing is looked up.
{ lib }:
root: path:
let
  inherit (builtins) elemAt genList length;
  withoutLast = list: genList (elemAt list) (if list == [ ] then 0 else length list - 1);
  parts = lib.splitString "/" (if lib.hasPrefix "/" path then path else "${root}/${path}");
  step =
    done: part:
    if part == "" || part == "." then
      done
    else if part == ".." then
      withoutLast done
    else
      done ++ [ part ];
in
"/" + builtins.concatStringsSep "/" (builtins.foldl' step [ ] parts)
