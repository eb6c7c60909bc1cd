# What the hosts share and what users may call: pure functions over `lib`.
{ lib }:
let
  enabled = cfg: lib.filterAttrs (_: instance: instance.enable) cfg.instances;

  # of the rendered document, as `settings` count, too
  served =
    document:
    lib.filterAttrs (_: remote: remote.serve.enable or (remote ? serve)) (document.remotes or { });

  nixbox = {
    inherit enabled served;

    # The process of a served remote, and the one that an instance waits for.
    remoteProcess = name: "agentfs-remote-${name}";
    waitsFor =
      document: name:
      let
        remote = (document.instances.${name} or { }).sync.remote or null;
      in
      lib.optional (served document ? ${toString remote}) (nixbox.remoteProcess remote);
    # With what its dependsOn says: each by its process, with how far it has to be.
    needs =
      document: name:
      (import ../job-process.nix { inherit lib; } document).byProcess (
        document.instances.${name}.depends_on or { }
      )
      // lib.genAttrs (nixbox.waitsFor document name) (_: "ready");

    # What runs, as every host says it in its own terms.
    processes =
      document:
      map (name: {
        name = "agentfs-${name}";
        serve = "serve ${name}";
        ready = "ready ${name}";
        instance = name;
        kept = document.instances.${name};
        waitsFor = nixbox.waitsFor document name;
        needs = nixbox.needs document name;
      }) (builtins.attrNames (enabled document))
      ++ map (name: {
        name = nixbox.remoteProcess name;
        serve = "remote serve ${name}";
        ready = "remote ready ${name}";
        remote = name;
      }) (builtins.attrNames (served document));

    # What is run at certain times, of the rendered document.
    schedules =
      document: lib.filterAttrs (_: schedule: schedule.enable or true) (document.schedules or { });
    onCalendar = import ./on-calendar.nix { inherit lib; };
    # Where systemd keeps the times: assertions.
    systemdCanSay =
      document:
      let
        all = nixbox.schedules document;
      in
      map (name: {
        assertion = !(nixbox.onCalendar all.${name} ? refused);
        message = "services.agentfs.schedules.${name}: ${(nixbox.onCalendar all.${name}).refused or ""}";
      }) (builtins.attrNames all);

    render = import ../render.nix { inherit lib; };
    toTOML = import ./to-toml.nix { inherit lib; };
    absolute = import ./paths.nix { inherit lib; };
    environment = import ../environment.nix { inherit lib; };
    assertions = import ../schema/assertions.nix { inherit lib; };
    warnings = import ../schema/warnings.nix { inherit lib; };
    literalSecrets = import ../schema/secrets.nix { inherit lib; };

    # Whether an instance may bring a variable of that name: the helper refuses
    # its own, and what others set for it.
    mayExport =
      name:
      builtins.match "[A-Za-z_][A-Za-z0-9_]*" name != null
      &&
        builtins.match "(AGENTFS|NIXBOX|DEVENV)_.*|AGENTFS|TURSO_DB_AUTH_TOKEN|XDG_RUNTIME_DIR|NOTIFY_SOCKET" name
        == null;

    # The instance that is meant where none is named.
    defaultInstance =
      cfg:
      let
        names = builtins.attrNames (enabled cfg);
      in
      if builtins.length names == 1 then
        builtins.head names
      else if builtins.elem "default" names then
        "default"
      else
        null;

    # `AGENTFS_<this>_…`
    envName = name: lib.toUpper (builtins.replaceStrings [ "-" ] [ "_" ] name);

    # The document of a project that has no host: mkConfig { inherit pkgs; instances.sandbox = { }; }
    mkConfig =
      { pkgs, ... }@agentfs:
      let
        cfg =
          (lib.evalModules {
            specialArgs = { inherit pkgs; };
            modules = [
              ../schema
              { services.agentfs = removeAttrs agentfs [ "pkgs" ]; }
            ];
          }).config.services.agentfs;
      in
      nixbox.check {
        failed = builtins.filter (a: !a.assertion) (nixbox.assertions { inherit cfg; });
        warnings = nixbox.warnings cfg;
        value = cfg.configFile;
      };

    # For hosts that have no `assertions` and no `warnings` of their own.
    check =
      {
        failed,
        warnings,
        value,
      }:
      if failed == [ ] then
        builtins.foldl' (
          value: text: (builtins.warn or builtins.trace) "nixbox: ${text}" value
        ) value warnings
      else
        throw "nixbox: ${builtins.concatStringsSep "\n" (map (a: "- ${a.message}") failed)}";
  };
in
nixbox
