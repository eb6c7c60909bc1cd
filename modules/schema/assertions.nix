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
  require = assertion: message: { inherit assertion message; };

  # as the helper will see it, `settings` included
  document = nixbox.render cfg;
  inherit (document) instances;
  enabled = nixbox.enabled document;
  names = attrNames instances;
  default = document.default_instance or null;

  isAddress = bind: match "[0-9]{1,3}([.][0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*" bind != null;

  # as crates/config says it
  engineHasItAll =
    name: instance:
    let
      mount = instance.mount or { };
      nfs = instance.nfs or null;
      mounted = mount.backend or "auto" != "none";
      served = nfs != null && nfs.enable or true;
      lacks =
        field: isAsked: what:
        require (
          !isAsked
        ) "${at name field}: engine = \"agentfs\" ${what}; leave it out, or set engine = \"builtin\"";
    in
    [
      (lacks "exclude" (instance.exclude or [ ] != [ ]) "shows all of its base")
      (lacks "mode" (
        instance.mode or "overlay" != "overlay"
      ) "keeps changes in the database, and nowhere else")
      (lacks "limits" (
        instance ? limits.size || instance ? limits.files
      ) "knows no limits to what it holds")
      (lacks "mount.readOnly" (mount.read_only or false) "cannot refuse writes")
      (lacks "mount.uid" (
        mount ? uid || mount ? gid
      ) "shows files as whose they are, whatever it is told")
      (lacks "mount.backend" (mount.backend or "auto" == "nfs") "is mounted by FUSE here")
      (lacks "nfs" (
        mounted && served
      ) "lets nobody else at the database: it is mounted, or served over NFS")
      (lacks "engine" (!mounted && !served) "has nothing to do: it mounts, or serves NFS")
      (lacks "nfs.port" (
        !mounted && served && nfs.port or 0 == 0
      ) "does not say which port it was given, so it has to be told one")
    ];

  perInstance =
    name:
    let
      instance = instances.${name};
      mount = instance.mount or { };
      bind = instance.http.bind or "127.0.0.1";
      nfs = instance.nfs or { };
      nfsBind = nfs.bind or "127.0.0.1";
    in
    [
      (require (match "[a-z0-9][a-z0-9_-]{0,62}" name != null)
        "${option "instances"}.\"${name}\": a name is made of lower case letters, digits, - and _, starts with a letter or digit and has at most 63 characters"
      )
      (require (!(mount.allow_root or false && mount.allow_other or false))
        "${at name "mount"}: allowRoot and allowOther exclude each other; allowOther lets root in as well"
      )
      (require (isAddress bind) "${at name "http.bind"} is \"${bind}\": it must be an address, such as 127.0.0.1 or ::1")
      (require (instance.http.expose or false || !(isAddress bind) || match "127[.].*|::1" bind != null)
        "${at name "http.bind"} is ${bind}, which other machines reach; if that is meant, set ${at name "http.expose"} = true"
      )
      (require (isAddress nfsBind) "${at name "nfs.bind"} is \"${nfsBind}\": it must be an address, such as 127.0.0.1 or ::1")
      (require (nfs.expose or false || !(isAddress nfsBind) || match "127[.].*|::1" nfsBind != null)
        "${at name "nfs.bind"} is ${nfsBind}, which other machines reach, and NFS asks nobody for a password; set expose where all of them may"
      )
    ]
    ++ lib.optionals (instance.engine or "builtin" == "agentfs") (engineHasItAll name instance)
    ++ map (
      variable:
      require (nixbox.mayExport variable) "${at name "env"}.${variable}: AGENTFS_…, NIXBOX_… and what devenv and the system set are not for instances, and a name has letters, digits and _ only"
    ) (attrNames (instance.env or { }));

  # The words a key could have been written into, instead of where it is.
  keyWords =
    encryption:
    builtins.filter (word: word != null) (
      [
        (encryption.key_file or null)
        (encryption.key_env or null)
      ]
      ++ encryption.key_command or [ ]
    );
  isKey = word: match ".*[0-9a-fA-F]{32}.*" word != null && match ".*/nix/store/.*" word == null;

  encrypted =
    name:
    let
      encryption = instances.${name}.encryption or null;
      at' = at name "encryption";
      file = encryption.key_file or null;
      sources = builtins.filter (set: set) [
        (file != null)
        ((encryption.key_command or [ ]) != [ ])
        ((encryption.key_env or null) != null)
      ];
    in
    lib.optionals (encryption != null) [
      (require (
        (instances.${name}.mode or "overlay") != "ephemeral"
      ) "${at'}: an ephemeral instance has no database that could be encrypted")
      (require (
        builtins.length sources == 1
      ) "${at'}: exactly one of keyFile, keyCommand and keyEnv says where the key is")
      (require (file == null || !inStore file)
        "${at'}.keyFile is ${toString file}: everybody can read the Nix store; use a plain string that names a file outside of it"
      )
      (require (!builtins.any isKey (keyWords encryption))
        "${at'} looks like it holds the key itself, and the Nix store is readable by everyone; name a file instead (keyFile)"
      )
    ];

  remotes = document.remotes or { };

  # as crates/config says it
  isRemote =
    url:
    match "(libsql|https|http)://[^/@?#[:space:]:]+(:[1-9][0-9]*)?(/[^@?#[:space:]]*)?" url != null;
  isHere = url: match "http://(localhost|127[.][0-9.]+)(:[0-9]+)?(/.*)?" url != null;

  perRemote =
    name:
    let
      remote = remotes.${name};
      url = remote.url or "";
      isServed = nixbox.served document ? ${name};
      at' = option "remotes.${name}";
      words = builtins.filter (word: word != null) (
        [
          (remote.token_file or null)
          (remote.token_env or null)
        ]
        ++ remote.token_command or [ ]
      );
      file = remote.token_file or null;
      sources = builtins.filter (set: set) [
        (file != null)
        ((remote.token_command or [ ]) != [ ])
        ((remote.token_env or null) != null)
      ];
    in
    [
      (require (match "[a-z0-9][a-z0-9_-]{0,62}" name != null)
        "${option "remotes"}.\"${name}\": a name is made of lower case letters, digits, - and _, starts with a letter or digit and has at most 63 characters"
      )
      (require (isRemote url || !(remote ? url) && isServed)
        "${at'}.url is no address of a remote, such as \"libsql://HOST\", \"https://HOST\" or \"http://127.0.0.1:PORT\", without a user, a password or a token in it"
      )
      (require (!isServed || !(instances ? "remote-${name}"))
        "${option "instances"}.\"remote-${name}\" and the remote ${name}, which is served here, would both be the process ${nixbox.remoteProcess name}; rename one of them"
      )
      (require (!lib.hasPrefix "http://" url || isHere url || remote.insecure or false)
        "${at'}.url: over http everybody on the way to another machine reads the token; use https, or set ${at'}.insecure = true"
      )
      (require (
        builtins.length sources <= 1
      ) "${at'}: at most one of tokenFile, tokenCommand and tokenEnv says where the token is")
      (require (file == null || !inStore file)
        "${at'}.tokenFile is ${toString file}: everybody can read the Nix store; use a plain string that names a file outside of it"
      )
      (require (!builtins.any isKey words && nixbox.literalSecrets at' words == [ ])
        "${at'} looks like it holds the token itself, and the Nix store is readable by everyone; name a file instead (tokenFile)"
      )
    ];

  synced =
    name:
    let
      instance = instances.${name};
      wanted = instance.sync.remote or null;
    in
    lib.optionals (instance ? sync) [
      (require (remotes ? ${toString wanted})
        "${at name "sync.remote"} is \"${toString wanted}\", which is not declared in ${option "remotes"}"
      )
      (require (!(instance ? encryption))
        "${at name "sync"}: an encrypted instance is not synced: the remote would hold everything in the clear"
      )
      (require (
        instance.mode or "overlay" == "overlay"
      ) "${at name "sync"}: what is synced is kept in the database, and in this mode it is not")
      (require (!(instance ? base && instance.sync ? partial))
        "${at name "sync.partial"}: what an instance over a base has itself is what was changed, and that is not left away"
      )
      (require (
        instance.engine or "builtin" == "builtin"
      ) "${at name "sync"}: engine = \"agentfs\" lets nobody else at the database, and so nobody sync it")
    ]
    ++ lib.optionals (instance ? sync) (fitsItsMode (field: at name "sync.${field}") instance.sync);

  # as crates/config says it
  fitsItsMode =
    key: sync:
    let
      mode = sync.mode or "manual";
      isOneOf = lib.flip lib.elem;
      pulls = sync.pull_on_start or (mode != "manual");
      long = span: match "0*([0-9]{1,3} ?ms|0 ?(ms|s|min|h))" span == null;
    in
    [
      (require (
        !(sync ? interval)
        || isOneOf [
          "periodic"
          "follow"
        ] mode
      ) "${key "interval"} means nothing in the mode ${mode}, which no clock drives")
      (require (!(sync ? interval) || long sync.interval) "${key "interval"} is too short: at least 1s")
      (require (
        !(sync ? debounce) || mode == "real-time"
      ) "${key "debounce"} means nothing in the mode ${mode}, which waits for no change")
      (require (
        !(sync ? debounce) || match "0*[0-9] ?ms|0+ ?(ms|s|min|h)" sync.debounce == null
      ) "${key "debounce"} is too short: at least 10ms")
      (require (
        !(sync.push_on_stop or false && mode == "follow")
      ) "${key "pushOnStop"} has nothing to push in the mode follow, which writes nothing")
      (require
        (
          sync.pull_on_start or true
          || isOneOf [
            "manual"
            "follow"
          ] mode
        )
        "${key "pullOnStart"}: in the mode ${mode} nothing may be written before what the remote has is here"
      )
      (require (!(sync ? offline) || pulls)
        "${key "offline"} says what a start does without the remote, and this one does not ask it; set pullOnStart = true"
      )
      (require (
        !(sync ? lease) || match "0*[01] ?s|0*1?[0-9]{0,3} ?ms|0+ ?(ms|s|min|h)" sync.lease == null
      ) "${key "lease"} is too short: at least 2s")
    ];

  inStore = path: lib.hasPrefix builtins.storeDir path || lib.hasPrefix "/nix/store/" path;

  # dataDir = "${./data}" would put the databases where nothing can write.
  notInStore =
    where: path:
    require (path == null || !inStore path)
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
    ) (attrNames cfg.instances);
in
concatMap perInstance names
++ concatMap encrypted names
++ concatMap synced names
++ concatMap perRemote (attrNames remotes)
++ import ./jobs-fit.nix { inherit lib; } {
  inherit
    document
    enabled
    option
    require
    ;
  inherit (nixbox) literalSecrets;
}
++ import ./schedules-fit.nix {
  inherit
    document
    enabled
    option
    require
    ;
  inherit (nixbox) literalSecrets;
}
++ import ./places.nix { inherit lib; } {
  inherit
    at
    enabled
    instances
    option
    require
    root
    ;
}
++ [
  (require (
    default == null || enabled ? ${default}
  ) "${option "defaultInstance"} is \"${toString default}\", which is not an enabled instance")
  (notInStore (option "dataDir") (document.data_dir or null))
  (notInStore (option "runtimeDir") (document.runtime_dir or null))
]
++ map (name: notInStore (at name "mount.path") (instances.${name}.mount.path or null)) names
++ map (
  where:
  require false "${where} looks like a literal secret, and the Nix store is readable by everyone; name a file instead (…_FILE)"
) secrets
