{
  lib,
  nixbox,
  schema,
  check,
  ...
}:
let
  refused =
    agentfs:
    map (a: a.message) (
      builtins.filter (a: !a.assertion) (
        nixbox.assertions {
          inherit (schema [ { services.agentfs = agentfs; } ]) cfg;
          root = "/project";
        }
      )
    );
  accepts = agentfs: check.equal (refused agentfs) [ ];
  # exactly one message, and it speaks of this
  refuses =
    about: agentfs:
    let
      messages = refused agentfs;
    in
    check.that (
      builtins.length messages == 1 && lib.hasInfix about (builtins.head messages)
    ) "wanted one message about “${about}”, got ${builtins.toJSON messages}";

  two = a: b: { instances = { inherit a b; }; };
  path = p: { mount.path = p; };
  http = bind: port: {
    http = {
      inherit bind port;
      expose = true;
    };
  };
  encrypted = encryption: { instances.a = { inherit encryption; }; };
  synced = instance: {
    remotes.team.url = "libsql://team.example.org";
    instances.a = {
      sync.remote = "team";
    }
    // instance;
  };
  long = n: builtins.concatStringsSep "" (builtins.genList (_: "a") n);
in
{
  "nothing declared" = accepts { };
  "two plain instances" = accepts (two { } { });

  "jobs that fit" = accepts {
    instances.a.dependsOn.seed = "completed";
    jobs.seed = {
      exec = [ "x" ];
      instance = "a";
    };
    jobs.web = {
      exec = [ "x" ];
      dependsOn = {
        a = "ready";
        seed = "completed";
      };
      health.http = "http://a";
    };
  };
  "schedules that fit" = accepts {
    instances.a = { };
    schedules.nightly = {
      cron = "0 3 * * *";
      timezone = "Europe/Berlin";
      exec = [ "make" ];
    };
    schedules.once = {
      at = "2026-11-21T06:45:00Z";
      run = [ "status" ];
    };
  };
  "schedule: without a time" = refuses "either cron or at says when" {
    instances.a = { };
    schedules.s.run = [ "status" ];
  };
  "schedule: with two things to run" = refuses "either run or exec says what" {
    instances.a = { };
    schedules.s = {
      cron = "@daily";
      run = [ "status" ];
      exec = [ "make" ];
    };
  };
  "schedule: in no instance" = refuses "which is not an enabled instance" {
    instances.a = { };
    schedules.s = {
      cron = "@daily";
      exec = [ "make" ];
      instance = "b";
    };
  };
  "schedule: called as an instance" = refuses "an instance or a job is called so as well" {
    instances.a = { };
    schedules.a = {
      cron = "@daily";
      run = [ "status" ];
    };
  };
  "schedule: with a secret" = refuses "looks like it holds a secret" {
    instances.a = { };
    schedules.s = {
      cron = "@daily";
      exec = [
        "curl"
        "https://u:pass@h/"
      ];
    };
  };
  "job: without a program" = refuses "jobs.j.exec names no program" {
    instances.a = { };
    jobs.j = { };
  };
  "job: in no instance" = refuses "which is not an enabled instance" {
    instances.a = { };
    jobs.j = {
      exec = [ "x" ];
      instance = "b";
    };
  };
  "job: called as an instance" = refuses "an instance is called so as well" {
    instances.a = { };
    jobs.a.exec = [ "x" ];
  };
  "job: waits for nothing that is there" = refuses "nothing that is enabled is called so" {
    instances.a = { };
    jobs.j = {
      exec = [ "x" ];
      dependsOn.k = "ready";
    };
  };
  "job: waits for the end of an instance" = refuses "an instance has no end" {
    instances.a = { };
    jobs.j = {
      exec = [ "x" ];
      dependsOn.a = "completed";
    };
  };
  "job: waits for the end of what is watched" = refuses "run again at each change" {
    instances.a = { };
    jobs.j = {
      exec = [ "x" ];
      watch = { };
    };
    jobs.k = {
      exec = [ "x" ];
      dependsOn.j = "completed";
    };
  };
  "health: of nothing" = refuses "either exec or http" { instances.a.health = { }; };
  "job: a literal secret" = refuses "looks like it holds a secret" {
    instances.a = { };
    jobs.j = {
      exec = [ "x" ];
      env.API_TOKEN = "sk-live-0123456789abcdefghijklmnop";
    };
  };

  "name: 63 characters" = accepts { instances.${long 63} = { }; };
  "name: 64 characters" = refuses "at most 63" { instances.${long 64} = { }; };
  "name: upper case" = refuses "\"Big\"" { instances.Big = { }; };
  "name: leading dash" = refuses "\"-x\"" { instances."-x" = { }; };
  "name: a slash" = refuses "\"a/b\"" { instances."a/b" = { }; };
  "name: checked where disabled, too" = refuses "\"A\"" { instances.A.enable = false; };
  "two names with one prefix" = refuses "AGENTFS_A_B_" {
    instances = {
      a-b = { };
      a_b = { };
    };
  };
  "two names with one prefix, one disabled" = accepts {
    instances = {
      a-b = { };
      a_b.enable = false;
    };
  };

  "encryption: a file" = accepts (encrypted {
    keyFile = "/run/secrets/a";
  });
  "encryption: a command" = accepts (encrypted {
    keyCommand = [
      "pass"
      "show"
      "a"
    ];
  });
  "encryption: a variable" = accepts (encrypted {
    keyEnv = "A_KEY";
  });
  "encryption: nothing to encrypt" = refuses "ephemeral" {
    instances.a = {
      mode = "ephemeral";
      encryption.keyEnv = "A_KEY";
    };
  };
  "encryption: no key" = refuses "exactly one of" (encrypted { });
  "encryption: two keys" = refuses "exactly one of" (encrypted {
    keyEnv = "A_KEY";
    keyFile = "a";
  });
  "encryption: a key in the store" = refuses "everybody can read" (encrypted {
    keyFile = "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-key";
  });
  "encryption: a key written out" = refuses "the key itself" (encrypted {
    keyFile = "000102030405060708090a0b0c0d0e0f";
  });
  "encryption: a key in a command" = refuses "the key itself" (encrypted {
    keyCommand = [
      "echo"
      "000102030405060708090a0b0c0d0e0f"
    ];
  });
  "encryption: a key through settings" = refuses "the key itself" {
    instances.a.settings.encryption.key_file = "000102030405060708090a0b0c0d0e0f";
  };

  "sync: with a remote" = accepts (synced { });
  "sync: partial" = accepts (synced {
    sync = {
      remote = "team";
      partial = { };
    };
  });
  "sync: partial over a base" = refuses "not left away" (synced {
    base = ".";
    sync = {
      remote = "team";
      partial = { };
    };
  });
  "sync: a remote on this machine" = accepts {
    remotes.home.url = "http://127.0.0.1:8080";
  };
  "sync: an unknown remote" = refuses "not declared" { instances.a.sync.remote = "team"; };
  "sync: encrypted" = refuses "in the clear" (synced {
    encryption.keyEnv = "A_KEY";
  });
  "sync: over a base" = accepts (synced {
    base = ".";
  });
  "sync: a base that is written in place" = refuses "in this mode it is not" (synced {
    base = ".";
    mode = "direct";
  });
  "sync: ephemeral" = refuses "in this mode it is not" (synced {
    mode = "ephemeral";
  });
  "sync: upstream's program" = refuses "lets nobody else" (synced {
    engine = "agentfs";
  });
  "sync: each mode with its own" = accepts (synced {
    sync = {
      remote = "team";
      mode = "real-time";
      debounce = "2s";
      offline = "allow";
      lease = "10s";
    };
  });
  "sync: an interval without a clock" = refuses "no clock drives" (synced {
    sync = {
      remote = "team";
      interval = "1min";
    };
  });
  "sync: an interval of nothing" = refuses "at least 1s" (synced {
    sync = {
      remote = "team";
      mode = "follow";
      interval = "999ms";
    };
  });
  "sync: a debounce without changes" = refuses "waits for no change" (synced {
    sync = {
      remote = "team";
      mode = "periodic";
      debounce = "1s";
    };
  });
  "sync: a follower that pushes" = refuses "nothing to push" (synced {
    sync = {
      remote = "team";
      mode = "follow";
      pushOnStop = true;
    };
  });
  "sync: written before it is pulled" = refuses "before what the remote has" (synced {
    sync = {
      remote = "team";
      mode = "periodic";
      pullOnStart = false;
    };
  });
  "sync: offline where nobody asks" = refuses "does not ask it" (synced {
    sync = {
      remote = "team";
      offline = "allow";
    };
  });
  "sync: a lease that is over at once" = refuses "at least 2s" (synced {
    sync = {
      remote = "team";
      lease = "1999ms";
    };
  });
  "remote: served here, and so without an address" = accepts {
    remotes.team.serve.port = 7440;
    instances.a.sync.remote = "team";
  };
  "remote: not served and without an address" = refuses "no address of a remote" {
    remotes.team.serve = {
      enable = false;
      port = 7440;
    };
  };
  "remote: an instance would have the same process" = refuses "agentfs-remote-team" {
    remotes.team.serve.port = 7440;
    instances.remote-team = { };
  };
  "remote: no address" = refuses "no address of a remote" { remotes.team.url = "ftp://a"; };
  "remote: a token in the address" = refuses "no address of a remote" {
    remotes.team.url = "https://a?authToken=x";
  };
  "remote: http to another machine" = refuses "everybody on the way" {
    remotes.team.url = "http://10.0.0.7";
  };
  "remote: http to another machine, meant" = accepts {
    remotes.team = {
      url = "http://10.0.0.7";
      insecure = true;
    };
  };
  "remote: two tokens" = refuses "at most one of" {
    remotes.team = {
      url = "https://a";
      tokenFile = "t";
      tokenEnv = "T";
    };
  };
  "remote: a token in the store" = refuses "everybody can read" {
    remotes.team = {
      url = "https://a";
      tokenFile = "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-token";
    };
  };
  "remote: a token written out" = refuses "the token itself" {
    remotes.team = {
      url = "https://a";
      tokenCommand = [
        "echo"
        "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM"
      ];
    };
  };
  "remote: a name" = refuses "\"Big\"" { remotes.Big.url = "https://a"; };

  "default instance: declared" = accepts (two { } { } // { defaultInstance = "b"; });
  "default instance: unknown" = refuses "defaultInstance is \"c\"" (
    two { } { } // { defaultInstance = "c"; }
  );
  "default instance: disabled" = refuses "defaultInstance is \"b\"" (
    two { } { enable = false; } // { defaultInstance = "b"; }
  );

  "mount: two in one place" = refuses "the same place" (two (path "mnt") (path "./x/..//mnt/"));
  "mount: one inside the other" = refuses "one lies in the other" (two (path "mnt/x") (path "mnt"));
  "mount: one inside the other, the other way" = refuses "one lies in the other" (
    two (path "mnt") (path "mnt/x")
  );
  "mount: neighbours" = accepts (two (path "mnt/x") (path "mnt/xy"));
  "mount: one place, one disabled" = accepts (two (path "m") (path "m" // { enable = false; }));
  "mount: one place, one not mounted" = accepts (
    two (path "m") {
      mount = {
        path = "m";
        backend = "none";
      };
    }
  );
  "mount: on /" = refuses "would hide everything" { instances.a = path "/"; };
  "mount: on the project" = refuses "would hide everything" { instances.a = path "."; };
  "mount: on the project, absolute" = refuses "would hide everything" {
    instances.a = path "/project/";
  };
  "mount: on the project, the long way" = refuses "would hide everything" {
    instances.a = path "x/../.";
  };
  "mount: for root and for all" = refuses "exclude each other" {
    instances.a.mount = {
      allowRoot = true;
      allowOther = true;
    };
  };

  "base: the project, with the mount inside" = accepts {
    instances.a = path ".agentfs/mnt" // {
      base = ".";
      exclude = [ "target" ];
    };
  };
  "base: its own mountpoint" = refuses "lies in the mount of a" {
    instances.a = path "m" // {
      base = "./m";
    };
  };
  "base: in the mount of another" = refuses "lies in the mount of b" (
    two { base = "m/x"; } (path "m")
  );
  "base: in the mount of one that is disabled" = accepts (
    two { base = "m/x"; } (path "m" // { enable = false; })
  );
  "base: excluded without one" = refuses "there is none" { instances.a.exclude = [ "x" ]; };

  "mode: direct over nothing" = refuses "there is none" { instances.a.mode = "direct"; };
  "mode: direct with limits" = refuses "holds no files" {
    instances.a = {
      mode = "direct";
      base = "src";
      limits.files = 1;
    };
  };
  "mode: direct, and what commands may take" = accepts {
    instances.a = {
      mode = "direct";
      base = "src";
      limits.memory = "1GiB";
    };
    jobs.j = {
      exec = [ "x" ];
      limits.cpu = 0.5;
    };
  };
  "mode: direct over a base" = accepts {
    instances.a = {
      mode = "direct";
      base = "src";
    };
  };

  "env: a name of our own" = refuses "env.AGENTFS_ID" { instances.a.env.AGENTFS_ID = "x"; };
  "env: another name of our own" = refuses "env.NIXBOX_X" { instances.a.env.NIXBOX_X = "x"; };
  "env: a name of devenv's" = refuses "env.DEVENV_ROOT" { instances.a.env.DEVENV_ROOT = "/x"; };
  "env: not a name" = refuses "env.A-B" { instances.a.env."A-B" = "x"; };
  "env: an ordinary name" = accepts { instances.a.env._pip_2 = "x"; };

  "http: a host name" = refuses "must be an address" { instances.a = http "localhost" 0; };
  "http: an address of version 6" = accepts { instances.a = http "fe80::1" 0; };
  "http: for other machines, not asked for" = refuses "http.expose = true" {
    instances.a.http.bind = "0.0.0.0";
  };
  "http: loopback needs no asking" = accepts (
    two { http.bind = "127.0.0.2"; } { http.bind = "::1"; }
  );
  "settings are looked at, too" = refuses "would hide everything" {
    instances.a.settings.mount.path = ".";
  };
  "http: one port twice" = refuses "both 7420" (two (http "127.0.0.1" 7420) (http "127.0.0.1" 7420));
  "http: one port on all addresses" = refuses "both 7420" (
    two (http "127.0.0.1" 7420) (http "0.0.0.0" 7420)
  );
  "http: one port on all addresses, the other way" = refuses "both 7420" (
    two (http "::" 7420) (http "127.0.0.1" 7420)
  );
  "http: one port on two addresses" = accepts (two (http "127.0.0.1" 7420) (http "127.0.0.2" 7420));
  "http: both pick one" = accepts (two (http "127.0.0.1" 0) (http "127.0.0.1" 0));

  "engine: upstream's program" = accepts {
    instances.a = {
      engine = "agentfs";
      base = "src";
      mount.path = "mnt";
      mount.allowOther = true;
    };
  };
  "engine: over NFS alone" = accepts {
    instances.a = {
      engine = "agentfs";
      mount.backend = "none";
      nfs.port = 2049;
    };
  };
  "engine: exclude" = refuses "a.exclude: engine" {
    instances.a = {
      engine = "agentfs";
      base = "src";
      exclude = [ "x" ];
    };
  };
  "engine: read-only" = refuses "cannot refuse writes" {
    instances.a = {
      engine = "agentfs";
      mount.readOnly = true;
    };
  };
  "engine: ephemeral" = refuses "a.mode: engine" {
    instances.a = {
      engine = "agentfs";
      mode = "ephemeral";
    };
  };
  "engine: limits" = refuses "a.limits: engine" {
    instances.a = {
      engine = "agentfs";
      limits.files = 7;
    };
  };
  "engine: a presented owner" = refuses "a.mount.uid: engine" {
    instances.a = {
      engine = "agentfs";
      mount.gid = 100;
    };
  };
  "engine: mounted by NFS" = refuses "mounted by FUSE" {
    instances.a = {
      engine = "agentfs";
      mount.backend = "nfs";
    };
  };
  "engine: mounted and served" = refuses "lets nobody else" {
    instances.a = {
      engine = "agentfs";
      nfs.port = 2049;
    };
  };
  "engine: nothing to do" = refuses "nothing to do" {
    instances.a = {
      engine = "agentfs";
      mount.backend = "none";
    };
  };
  "engine: a port to be picked" = refuses "a.nfs.port: engine" {
    instances.a = {
      engine = "agentfs";
      mount.backend = "none";
      nfs = { };
    };
  };
  "engine: mounted in its own base" = refuses "hangs" {
    instances.a = path "src/mnt" // {
      engine = "agentfs";
      base = "src";
    };
  };

  "nfs: on loopback" = accepts (two { nfs = { }; } { nfs.bind = "::1"; });
  "nfs: a host name" = refuses "must be an address" { instances.a.nfs.bind = "localhost"; };
  "nfs: on every address" = refuses "asks nobody for a password" {
    instances.a.nfs.bind = "0.0.0.0";
  };
  "nfs: on every address, on purpose" = accepts {
    instances.a.nfs = {
      bind = "::";
      expose = true;
    };
  };
  "nfs: the port of an http surface" = refuses "both 7420" (
    two (http "127.0.0.1" 7420) { nfs.port = 7420; }
  );
  "nfs: the port of its own http surface" = refuses "both 7420" {
    instances.a = http "127.0.0.1" 7420 // {
      nfs.port = 7420;
    };
  };
  "nfs: a port that nobody listens on" = accepts (
    two (http "127.0.0.1" 7420) {
      nfs = {
        enable = false;
        port = 7420;
      };
    }
  );

  "store: dataDir" = refuses "dataDir is /nix/store/" { dataDir = "/nix/store/abc-data"; };
  "store: runtimeDir" = refuses "runtimeDir is" { runtimeDir = "${builtins.storeDir}/abc-run"; };
  "store: mount.path" = refuses "mount.path is" { instances.a = path "/nix/store/abc-m"; };

  "secret: in env" = refuses "instances.a.env.GITHUB_TOKEN" {
    instances.a.env.GITHUB_TOKEN = "abc";
  };
  "secret: in a label" = refuses "instances.a.labels.api-key" { instances.a.labels.api-key = "abc"; };
  "secret: in settings" = refuses "settings.other.auth_token" { settings.other.auth_token = "abc"; };
  "secret: in an instance's settings" = refuses "instances.a.settings.other.auth_token" {
    instances.a.settings.other.auth_token = "abc";
  };
}
