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

  listeners =
    name:
    concatMap
      (
        surface:
        let
          listener = enabled.${name}.${surface} or null;
        in
        lib.optional (listener != null && listener.enable or true && listener.port or 0 != 0) {
          bind = listener.bind or "127.0.0.1";
          inherit (listener) port;
          at = at name "${surface}.port";
        }
      )
      [
        "http"
        "nfs"
      ];
  anyAddress =
    bind:
    builtins.elem bind [
      "0.0.0.0"
      "::"
    ];

  portsOf =
    a: b:
    require (
      a.port != b.port || !(a.bind == b.bind || anyAddress a.bind || anyAddress b.bind)
    ) "${a.at} and ${b.at} are both ${toString a.port}; give each its own, or 0 to pick a free one";
  ownPorts =
    name:
    let
      own = listeners name;
    in
    lib.optional (builtins.length own == 2) (portsOf (builtins.elemAt own 0) (builtins.elemAt own 1));

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

  # It answers what it asks itself for, and waits for ever.
  upstreamOutsideOfItsBase =
    name:
    let
      instance = enabled.${name};
      mount = mountOf name;
    in
    require
      (
        instance.engine or "builtin" != "agentfs"
        || mount == null
        || !(instance ? base)
        || !(within mount (place instance.base))
      )
      "${at name "mount.path"} lies in the base, where a mount by engine = \"agentfs\" hangs; name a folder outside of it, or set engine = \"builtin\"";

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
      (require (!(direct && (instance ? limits.size || instance ? limits.files)))
        "${at name "limits"}: size and files bound what the instance itself holds, and in direct mode it holds no files; leave them out"
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
    ]
    ++ concatMap (listener: map (portsOf listener) (listeners b)) (listeners a);
in
map alone (attrNames instances)
++ map excludesSomething (attrNames instances)
++ concatMap writesSomewhere (attrNames instances)
++ concatMap (name: map (baseOutsideOf name) (attrNames enabled)) (attrNames enabled)
++ map upstreamOutsideOfItsBase (attrNames enabled)
++ concatMap ownPorts (attrNames enabled)
++ concatMap together pairs
