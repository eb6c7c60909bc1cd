# Configurations as people write them: the documents they render to, for the
# helper to read, and the environment devenv gives for them.
let
  lib = import ./lib;
  nixbox = import ../../modules/lib { inherit lib; };
  schema = import ./schema.nix { inherit lib; };

  samples = {
    nothing = { };
    one.instances.sandbox = { };
    two = {
      defaultInstance = "a-b";
      instances = {
        a-b = {
          mount.path = "./x/../mnt";
          http.port = 7420;
        };
        c = {
          mount.backend = "none";
          http = {
            bind = "::1";
            port = 7421;
          };
          nfs.port = 7422;
        };
        off.enable = false;
      };
    };
    no-default.instances = {
      a = { };
      b = { };
    };
    everything = {
      dataDir = ".agentfs";
      runtimeDir = "/run/nixbox-test";
      logLevel = "trace";
      instances.a = {
        description = "quotes \" and \\ and\nlines, zwölf 🦀";
        labels."a label" = "x";
        limits = {
          size = "1 MiB";
          files = 10;
        };
        env.FOO = "it's";
        mount = {
          path = "/srv/mnt";
          backend = "fuse";
          readOnly = true;
          allowRoot = true;
          uid = 1000;
          gid = 100;
          create = false;
        };
        http.port = 0;
        nfs = { };
        encryption = {
          cipher = "aes256gcm";
          keyCommand = [
            "pass"
            "show"
            "it's"
          ];
        };
      };
    };
    jobs = {
      instances.a = {
        dependsOn.seed = "completed";
        restart = {
          on = "always";
          max = 3;
          window = "2 min";
          backoff = {
            min = "100ms";
            max = "1h";
            factor = 3;
          };
        };
        health.exec = [ "true" ];
      };
      instances.b = { };
      jobs.seed = {
        instance = "b";
        exec = [
          "sh"
          "-c"
          "echo \"quotes\""
        ];
        restart.on = "never";
      };
      jobs.web = {
        instance = "a";
        exec = [ "serve" ];
        cwd = "web";
        env.FOO = "bar";
        user = "nobody";
        stdin = "in";
        log = {
          maxSize = "1 MiB";
          keep = 0;
        };
        watch = {
          paths = [ "web" ];
          debounce = "500 ms";
        };
        dependsOn = {
          a = "ready";
          seed = "started";
        };
        health = {
          http = "http://127.0.0.1:3000/";
          interval = "1s";
          timeout = "500ms";
          retries = 2;
          startPeriod = "0s";
        };
      };
    };
    direct.instances.a = {
      base = "src";
      mode = "direct";
    };
    upstream.instances.a = {
      engine = "agentfs";
      mount.backend = "none";
      nfs.port = 7423;
    };
    settings = {
      settings.log_level = "debug";
      instances.a.settings.mount.read_only = true;
    };
  };

  cfg = agentfs: (schema [ { services.agentfs = agentfs; } ]).cfg;
  host = import ./hosts/small-devenv.nix {
    inherit lib;
    typed = true;
  };
in
{
  documents = builtins.mapAttrs (_: sample: nixbox.toTOML (nixbox.render (cfg sample))) samples;
  environments = builtins.mapAttrs (_: sample: {
    root = "/project";
    env =
      (host [
        ../../modules/devenv.nix
        {
          services.agentfs = {
            enable = true;
          }
          // sample;
        }
      ]).config.env;
  }) samples;
}
