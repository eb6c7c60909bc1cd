# What the types cannot say. Each entry is { assertion; message; } as devenv,
# NixOS and home-manager read them; lib.check throws them for other hosts.
{ lib }:
{
  cfg,
  root ? null, # the project root, where evaluation knows it
}:
let
  inherit (builtins) attrNames concatMap match;
  nixbox = import ../lib { inherit lib; };
  option = name: "services.agentfs.${name}";
  at = name: field: option "instances.${name}.${field}";

  enabled = nixbox.enabled cfg;
  names = attrNames cfg.instances;
  require = assertion: message: { inherit assertion message; };
  # Every pair of enabled instances once.
  pairs = concatMap (a: map (b: { inherit a b; }) (builtins.filter (b: a < b) (attrNames enabled))) (
    attrNames enabled
  );

  # where evaluation knows no root, any will do to compare with
  project = if root == null then "/project" else root;
  place = nixbox.absolute project;
  mountOf =
    name:
    let
      m = enabled.${name}.mount;
    in
    if m.backend == "none" || m.path == null then null else place m.path;
  within = inner: outer: inner == outer || lib.hasPrefix "${outer}/" inner;
  anyAddress = bind: bind == "0.0.0.0" || bind == "::";

  perName = name: [
    (require (match "[a-z0-9][a-z0-9_-]{0,62}" name != null)
      "${option "instances"}.\"${name}\": a name is made of lower case letters, digits, - and _, starts with a letter or digit and has at most 63 characters"
    )
  ];

  perInstance =
    name:
    let
      inherit (cfg.instances.${name}) mount;
    in
    [
      (require (!(mount.allowRoot && mount.allowOther))
        "${at name "mount"}: allowRoot and allowOther exclude each other; allowOther lets root in as well"
      )
    ]
    ++ lib.optionals (mount.path != null) [
      (require
        (
          !(builtins.elem (place mount.path) [
            "/"
            (place ".")
          ])
        )
        "${at name "mount.path"} is ${mount.path}: a mount would hide everything there; name a folder of its own, such as .agentfs/mnt"
      )
    ];

  perPair =
    { a, b }:
    let
      pathA = mountOf a;
      pathB = mountOf b;
      httpA = enabled.${a}.http;
      httpB = enabled.${b}.http;
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
          httpA == null
          || httpB == null
          || httpA.port == 0
          || httpA.port != httpB.port
          || !(httpA.bind == httpB.bind || anyAddress httpA.bind || anyAddress httpB.bind)
        )
        "${at a "http.port"} and ${at b "http.port"} are both ${toString (httpA.port or 0)}; give each its own, or 0 to pick a free one"
      )
    ];

  # dataDir = "${./data}" would put the databases where nothing can write.
  notInStore =
    where: path:
    require
      (path == null || !(lib.hasPrefix builtins.storeDir path || lib.hasPrefix "/nix/store/" path))
      "${where} is ${toString path}: nothing can be written in the Nix store; use a plain string such as \".agentfs\"";

  secrets =
    nixbox.literalSecrets (option "settings") cfg.settings
    ++ concatMap (
      name:
      concatMap (field: nixbox.literalSecrets (at name field) cfg.instances.${name}.${field}) [
        "env"
        "labels"
        "settings"
      ]
    ) names;
in
concatMap perName names
++ concatMap perInstance names
++ concatMap perPair pairs
++ [
  (require (cfg.defaultInstance == null || enabled ? ${cfg.defaultInstance})
    "${option "defaultInstance"} is \"${toString cfg.defaultInstance}\", which is not an enabled instance"
  )
  (notInStore (option "dataDir") cfg.dataDir)
  (notInStore (option "runtimeDir") cfg.runtimeDir)
]
++ map (name: notInStore (at name "mount.path") cfg.instances.${name}.mount.path) names
++ map (
  where:
  require false "${where} looks like a literal secret, and the Nix store is readable by everyone; name a file instead (…_FILE)"
) secrets
