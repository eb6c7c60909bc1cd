# The options of services.agentfs -> the attribute set that becomes nixbox.toml.
# Pure: no pkgs, no host system. Names change case here and nowhere else.
{ lib }:
cfg:
let
  present = lib.filterAttrs (_: value: value != null);
  filled = lib.filterAttrs (_: value: value != { });

  mount =
    m:
    present {
      inherit (m)
        path
        backend
        uid
        gid
        create
        ;
      read_only = m.readOnly;
      allow_root = m.allowRoot;
      allow_other = m.allowOther;
    };

  encryption =
    e:
    present {
      inherit (e) cipher;
      key_file = e.keyFile;
      key_env = e.keyEnv;
    }
    // lib.optionalAttrs (e.keyCommand != [ ]) { key_command = e.keyCommand; };

  sync =
    s:
    present {
      inherit (s)
        remote
        mode
        interval
        debounce
        offline
        lease
        ;
      pull_on_start = s.pullOnStart;
      push_on_stop = s.pushOnStop;
      # The table's presence is what leaves content away.
      partial = if s.partial == null then null else partial s.partial;
    };

  partial =
    p:
    present {
      inherit (p) prefetch;
      segment_size = p.segmentSize;
      bootstrap_length = p.bootstrapLength;
      bootstrap_query = p.bootstrapQuery;
    };

  remote =
    r:
    present {
      inherit (r) url insecure;
      token_file = r.tokenFile;
      token_env = r.tokenEnv;
    }
    // lib.optionalAttrs (r.tokenCommand != [ ]) { token_command = r.tokenCommand; }
    // lib.optionalAttrs (r.serve != null) { serve = serve r.serve; };

  serve =
    s:
    present {
      inherit (s) enable port;
      program = if s.package == null then null else "${s.package}/bin/tursodb";
      wal_alarm = s.walAlarm;
    }
    // lib.optionalAttrs (s.hosts != [ ]) { inherit (s) hosts; };

  http =
    h: { inherit (h) bind port expose; } // lib.optionalAttrs (h.hosts != [ ]) { inherit (h) hosts; };

  keptUp =
    u:
    filled {
      depends_on = u.dependsOn;
      restart =
        present {
          inherit (u.restart) on max window;
        }
        // filled { backoff = present u.restart.backoff; };
    }
    // lib.optionalAttrs (u.health != null) {
      health =
        present {
          inherit (u.health)
            http
            interval
            timeout
            retries
            ;
          start_period = u.health.startPeriod;
        }
        // lib.optionalAttrs (u.health.exec != [ ]) { inherit (u.health) exec; };
    };

  job =
    j:
    present {
      inherit (j)
        enable
        instance
        exec
        cwd
        user
        stdin
        ;
    }
    // filled {
      inherit (j) env;
      limits = present j.limits;
      log = present {
        max_size = j.log.maxSize;
        inherit (j.log) keep;
      };
    }
    // lib.optionalAttrs (j.watch != null) {
      watch =
        present { inherit (j.watch) debounce; }
        // lib.filterAttrs (_: list: list != [ ]) { inherit (j.watch) paths ignore; };
    }
    // keptUp j;

  schedule =
    s:
    present {
      inherit (s)
        enable
        cron
        at
        timezone
        instance
        overlap
        jitter
        ;
      catch_up = s.catchUp;
    }
    // lib.optionalAttrs (s.run != [ ]) { inherit (s) run; }
    // lib.optionalAttrs (s.exec != [ ]) { inherit (s) exec; };

  instance =
    i:
    lib.recursiveUpdate (
      present {
        inherit (i)
          enable
          description
          engine
          base
          mode
          ;
        mount = mount i.mount;
        # The table's presence is what switches HTTP on.
        http = if i.http == null then null else http i.http;
        inherit (i) nfs;
        encryption = if i.encryption == null then null else encryption i.encryption;
        sync = if i.sync == null then null else sync i.sync;
      }
      // filled {
        inherit (i) labels env;
        limits = present i.limits;
        hooks = lib.filterAttrs (_: commands: commands != [ ]) i.hooks;
      }
      // keptUp i
      // lib.optionalAttrs (i.exclude != [ ]) { inherit (i) exclude; }
      // lib.optionalAttrs (i.mcp.tools != null) { mcp = { inherit (i.mcp) tools; }; }
    ) i.settings;
in
lib.recursiveUpdate (
  present {
    version = 1;
    data_dir = cfg.dataDir;
    runtime_dir = cfg.runtimeDir;
    agentfs_program =
      if
        cfg.cliPackage or null != null && lib.any (i: i.engine == "agentfs") (lib.attrValues cfg.instances)
      then
        "${cfg.cliPackage}/bin/agentfs"
      else
        null;
    default_instance = cfg.defaultInstance;
    log_level = cfg.logLevel;
    instances = lib.mapAttrs (_: instance) cfg.instances;
  }
  // filled {
    remotes = lib.mapAttrs (_: remote) cfg.remotes;
    jobs = lib.mapAttrs (_: job) (cfg.jobs or { });
    schedules = lib.mapAttrs (_: schedule) (cfg.schedules or { });
  }
) cfg.settings
