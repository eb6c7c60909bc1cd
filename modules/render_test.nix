{
  lib,
  nixbox,
  schema,
  check,
  ...
}:
let
  render = agentfs: nixbox.render (schema [ { services.agentfs = agentfs; } ]).cfg;
  mount = {
    backend = "auto";
    read_only = false;
    allow_root = false;
    allow_other = false;
    create = true;
  };
in
{
  "nothing declared" = check.equal (render { }) {
    version = 1;
    log_level = "info";
    instances = { };
  };

  "one instance with every default" = check.equal (render { instances.sandbox = { }; }) {
    version = 1;
    log_level = "info";
    default_instance = "sandbox";
    instances.sandbox = {
      enable = true;
      engine = "builtin";
      mode = "overlay";
      inherit mount;
    };
  };

  "every option has its key" =
    check.equal
      (render {
        dataDir = ".agentfs";
        runtimeDir = "/run/x";
        defaultInstance = "a";
        logLevel = "trace";
        instances.a = {
          description = "d";
          engine = "agentfs";
          base = "src";
          exclude = [ "target" ];
          mode = "ephemeral";
          limits = {
            size = "2GiB";
            files = 1000;
            cpu = 2;
          };
          labels.team = "search";
          env.FOO = "bar";
          mount = {
            path = "mnt";
            backend = "fuse";
            readOnly = true;
            allowRoot = true;
            allowOther = true;
            uid = 1000;
            gid = 100;
            create = false;
          };
          http = {
            bind = "::1";
            port = 7420;
            hosts = [ "box.example.org" ];
          };
          nfs = {
            enable = false;
            bind = "::1";
            port = 2049;
            expose = true;
          };
          encryption = {
            cipher = "aes256gcm";
            keyFile = "k";
            keyCommand = [ "pass" ];
            keyEnv = "K";
          };
          sync = {
            remote = "team";
            partial = {
              prefetch = true;
              segmentSize = "64KiB";
              bootstrapLength = 1048576;
              bootstrapQuery = "SELECT 1";
            };
            mode = "periodic";
            interval = "5min";
            debounce = "2s";
            pullOnStart = true;
            pushOnStop = false;
            offline = "allow";
            lease = "10min";
          };
          mcp.tools = [ "read_file" ];
          hooks.sync = [ [ "true" ] ];
          hooks.ready = [ [ "true" ] ];
          dependsOn.j = "completed";
          restart = {
            on = "always";
            max = 3;
            window = "2min";
            backoff = {
              min = "1s";
              max = "9s";
              factor = 3;
            };
          };
          health = {
            exec = [ "true" ];
            http = "http://a";
            interval = "1s";
            timeout = "2s";
            retries = 4;
            startPeriod = "3s";
          };
        };
        schedules.s = {
          cron = "0 3 * * *";
          timezone = "UTC";
          exec = [ "x" ];
          instance = "a";
          overlap = "queue";
          jitter = "1min";
          catchUp = true;
        };
        schedules.t = {
          at = "2026-11-21T06:45:00Z";
          run = [ "status" ];
        };
        jobs.j = {
          enable = false;
          instance = "a";
          exec = [ "make" ];
          cwd = "src";
          env.FOO = "bar";
          user = "nobody";
          stdin = "in";
          log = {
            maxSize = "1MiB";
            keep = 1;
          };
          watch = {
            paths = [ "src" ];
            ignore = [ "*.log" ];
            debounce = "1s";
          };
          limits = {
            cpu = 1.5;
            memory = "1GiB";
            pids = 200;
            timeout = "10min";
          };
          dependsOn.k = "ready";
          restart.on = "never";
          health.http = "http://b";
        };
        remotes.team = {
          url = "https://team.example.org";
          tokenFile = "t";
          tokenCommand = [ "pass" ];
          tokenEnv = "T";
          insecure = true;
          serve = {
            enable = false;
            port = 7440;
            package = check.package "tursodb" "/turso";
            hosts = [ "sync.example.org" ];
            walAlarm = "2GiB";
          };
        };
      })
      {
        version = 1;
        data_dir = ".agentfs";
        runtime_dir = "/run/x";
        default_instance = "a";
        log_level = "trace";
        instances.a = {
          enable = true;
          description = "d";
          engine = "agentfs";
          base = "src";
          exclude = [ "target" ];
          mode = "ephemeral";
          limits = {
            size = "2GiB";
            files = 1000;
            cpu = 2;
          };
          labels.team = "search";
          env.FOO = "bar";
          mount = {
            path = "mnt";
            backend = "fuse";
            read_only = true;
            allow_root = true;
            allow_other = true;
            uid = 1000;
            gid = 100;
            create = false;
          };
          http = {
            bind = "::1";
            port = 7420;
            expose = false;
            hosts = [ "box.example.org" ];
          };
          nfs = {
            enable = false;
            bind = "::1";
            port = 2049;
            expose = true;
          };
          encryption = {
            cipher = "aes256gcm";
            key_file = "k";
            key_command = [ "pass" ];
            key_env = "K";
          };
          sync = {
            remote = "team";
            partial = {
              prefetch = true;
              segment_size = "64KiB";
              bootstrap_length = 1048576;
              bootstrap_query = "SELECT 1";
            };
            mode = "periodic";
            interval = "5min";
            debounce = "2s";
            pull_on_start = true;
            push_on_stop = false;
            offline = "allow";
            lease = "10min";
          };
          mcp.tools = [ "read_file" ];
          hooks.ready = [ [ "true" ] ];
          hooks.sync = [ [ "true" ] ];
          depends_on.j = "completed";
          restart = {
            on = "always";
            max = 3;
            window = "2min";
            backoff = {
              min = "1s";
              max = "9s";
              factor = 3;
            };
          };
          health = {
            exec = [ "true" ];
            http = "http://a";
            interval = "1s";
            timeout = "2s";
            retries = 4;
            start_period = "3s";
          };
        };
        schedules.s = {
          enable = true;
          cron = "0 3 * * *";
          timezone = "UTC";
          exec = [ "x" ];
          instance = "a";
          overlap = "queue";
          jitter = "1min";
          catch_up = true;
        };
        schedules.t = {
          enable = true;
          at = "2026-11-21T06:45:00Z";
          run = [ "status" ];
        };
        jobs.j = {
          enable = false;
          instance = "a";
          exec = [ "make" ];
          cwd = "src";
          env.FOO = "bar";
          user = "nobody";
          stdin = "in";
          log = {
            max_size = "1MiB";
            keep = 1;
          };
          watch = {
            paths = [ "src" ];
            ignore = [ "*.log" ];
            debounce = "1s";
          };
          limits = {
            cpu = 1.5;
            memory = "1GiB";
            pids = 200;
            timeout = "10min";
          };
          depends_on.k = "ready";
          restart.on = "never";
          health.http = "http://b";
        };
        remotes.team = {
          url = "https://team.example.org";
          token_file = "t";
          token_command = [ "pass" ];
          token_env = "T";
          insecure = true;
          serve = {
            enable = false;
            port = 7440;
            program = "/turso/bin/tursodb";
            hosts = [ "sync.example.org" ];
            wal_alarm = "2GiB";
          };
        };
      };

  "each flag has its own key" =
    check.equal
      (map
        (
          flag:
          let
            on = (render { instances.a.mount.${flag} = !(flag == "create"); }).instances.a.mount;
          in
          lib.filter (key: on.${key} != mount.${key}) (lib.attrNames mount)
        )
        [
          "readOnly"
          "allowRoot"
          "allowOther"
          "create"
        ]
      )
      [
        [ "read_only" ]
        [ "allow_root" ]
        [ "allow_other" ]
        [ "create" ]
      ];

  "upstream's program is named where an instance wants it" =
    check.equal
      (map
        (
          engine:
          (render {
            cliPackage = check.package "agentfs" "/nix/store/x-agentfs";
            instances.a = { inherit engine; };
          }).agentfs_program or null
        )
        [
          "builtin"
          "agentfs"
        ]
      )
      [
        null
        "/nix/store/x-agentfs/bin/agentfs"
      ];

  "an empty http set is loopback on a free port" =
    check.equal (render { instances.a.http = { }; }).instances.a.http
      {
        bind = "127.0.0.1";
        port = 0;
        expose = false;
      };

  "an empty nfs set is loopback on a free port" =
    check.equal (render { instances.a.nfs = { }; }).instances.a.nfs
      {
        enable = true;
        bind = "127.0.0.1";
        port = 0;
        expose = false;
      };

  "a disabled instance stays in the document" =
    check.equal (render { instances.a.enable = false; }).instances.a.enable
      false;

  "a renamed instance differs by its name alone" =
    let
      of = name: render { instances.${name}.mount.path = "m"; };
    in
    check.equal (of "old").instances.old (of "new").instances.new;

  "settings are merged over the document" =
    let
      out = render {
        settings.log_level = "trace";
        settings.added.deep = [ 1 ];
        instances.a.settings.mount.read_only = true;
        instances.a.mount.path = "m";
      };
    in
    check.equal
      {
        inherit (out) log_level added;
        inherit (out.instances.a.mount) read_only path;
      }
      {
        log_level = "trace";
        added.deep = [ 1 ];
        read_only = true;
        path = "m";
      };

  "default instance: the only enabled one" =
    check.equal
      (render {
        instances.a = { };
        instances.b.enable = false;
      }).default_instance
      "a";
  "default instance: the one named default" =
    check.equal
      (render {
        instances.a = { };
        instances.default = { };
      }).default_instance
      "default";
  "default instance: none among several" = check.that (
    !(render {
      instances.a = { };
      instances.b = { };
    })
      ? default_instance
  ) "one of two was picked";

  "the document is TOML" =
    let
      data = render { instances.a.http.port = 1; };
    in
    check.equal (fromTOML (nixbox.toTOML data)) data;
  "the file holds the document" =
    let
      inherit (schema [ { services.agentfs.instances.a = { }; } ]) cfg;
    in
    check.equal (fromTOML cfg.configFile.text) (nixbox.render cfg);

  "an option that is not there is refused" = check.throws (render {
    instances.a.bass = "./.";
  });
  "a wrong type is refused" = check.throws (render {
    instances.a.http.port = 70000;
  });
  "a path as mount.path is refused" = check.throws (render {
    instances.a.mount.path = ./.;
  });
  "a size without a unit that is one is refused" = check.throws (render {
    instances.a.limits.size = "2G";
  });
  "a wrong mode is refused" = check.throws (render {
    instances.a.mode = "Direct";
  });
  "a wrong backend is refused" = check.throws (render {
    instances.a.mount.backend = "smb";
  });
  "configFile is read only" = check.throws (
    (schema [ { services.agentfs.configFile = lib.mkForce null; } ]).cfg.configFile.text
  );
  "a mkIf false instance is not there" =
    check.equal (render { instances.a = lib.mkIf false { }; }).instances
      { };
  "definitions of several modules merge" =
    let
      inherit
        (schema [
          { services.agentfs.instances.a.mount.path = "m"; }
          { services.agentfs.instances.a.mount.readOnly = lib.mkDefault true; }
          { services.agentfs.instances.b = { }; }
        ])
        cfg
        ;
    in
    check.equal
      {
        names = builtins.attrNames cfg.instances;
        inherit (cfg.instances.a.mount) path readOnly;
      }
      {
        names = [
          "a"
          "b"
        ];
        path = "m";
        readOnly = true;
      };
}
