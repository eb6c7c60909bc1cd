# Assertions about what instances must not share: variables, mountpoints, ports.
{ lib }:
{
  at,
  enabled,
  instances,
  option,
  require,
  root,
}:
let
  inherit (builtins) attrNames concatMap;
  nixbox = import ../lib { inherit lib; };

  # where evaluation knows no root, any will do to compare with
  place = nixbox.absolute (if root == null then "/project" else root);
  mountOf =
    name:
    let
      mount = enabled.${name}.mount or { };
    in
    if mount.backend or "auto" == "none" || !(mount ? path) then null else place mount.path;
  within = inner: outer: inner == outer || lib.hasPrefix "${outer}/" inner;

  portOf = name: enabled.${name}.http.port or 0;
  bindOf = name: enabled.${name}.http.bind or "127.0.0.1";
  anyAddress =
    bind:
    builtins.elem bind [
      "0.0.0.0"
      "::"
    ];

  alone =
    name:
    let
      path = instances.${name}.mount.path or null;
    in
    require
      (
        path == null
        || !(builtins.elem (place path) [
          "/"
          (place ".")
        ])
      )
      "${at name "mount.path"} is ${toString path}: a mount would hide everything there; name a folder of its own, such as .agentfs/mnt";

  # A mount inside its own base is ordinary; a base inside a mount would be read through the mount.
  baseOutsideOf =
    name: other:
    let
      base = instances.${name}.base or null;
      mount = mountOf other;
    in
    require (base == null || mount == null || !(within (place base) mount))
      "${at name "base"} is ${toString base}, which lies in the mount of ${other}; name the real folder, outside of every mount";

  excludesSomething =
    name:
    let
      instance = instances.${name};
    in
    require (instance.exclude or [ ] == [ ] || instance ? base)
      "${at name "exclude"} says what is not seen of a base, and there is none; set base, or leave it out";

  writesSomewhere =
    name:
    let
      instance = instances.${name};
      direct = instance.mode or "overlay" == "direct";
    in
    [
      (require (
        !direct || instance ? base
      ) "${at name "mode"} is direct, which writes to the base, and there is none; set base")
      (require (!(direct && instance ? limits))
        "${at name "limits"} bounds what the instance itself holds, and in direct mode it holds no files; leave it out"
      )
    ];

  # every pair of enabled instances once
  pairs = concatMap (a: map (b: { inherit a b; }) (builtins.filter (b: a < b) (attrNames enabled))) (
    attrNames enabled
  );

  together =
    { a, b }:
    let
      pathA = mountOf a;
      pathB = mountOf b;
    in
    [
      (require (nixbox.envName a != nixbox.envName b)
        "${option "instances"}: ${a} and ${b} would both own the variables AGENTFS_${nixbox.envName a}_…; rename one of them"
      )
      (require (pathA == null || pathB == null || !(within pathA pathB || within pathB pathA))
        "${at a "mount.path"} and ${at b "mount.path"} are the same place or one lies in the other; give each a folder of its own"
      )
      (require
        (
          portOf a == 0
          || portOf a != portOf b
          || !(bindOf a == bindOf b || anyAddress (bindOf a) || anyAddress (bindOf b))
        )
        "${at a "http.port"} and ${at b "http.port"} are both ${toString (portOf a)}; give each its own, or 0 to pick a free one"
      )
    ];
in
map alone (attrNames instances)
++ map excludesSomething (attrNames instances)
++ concatMap writesSomewhere (attrNames instances)
++ concatMap (name: map (baseOutsideOf name) (attrNames enabled)) (attrNames enabled)
++ concatMap together pairs
