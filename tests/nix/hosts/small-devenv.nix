# devenv's interface in small: the options our module writes to, as 1.x
# ("exec and process-compose") or 2.x ("typed") declares them.
{
  lib,
  typed,
  flakeMode ? false,
  root ? "/project",
  names ? [ ],
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  any = default: option types.anything default;
  pkgs = import ../pkgs { inherit lib names; };

  process = types.submodule {
    options = {
      exec = mkOption { type = types.str; };
      process-compose = any { };
    }
    // lib.optionalAttrs typed {
      ready = any null;
      restart = any { };
      shutdown = any { };
      after = option (types.listOf types.str) [ ];
    };
  };
  task = types.submodule {
    options = {
      exec = option (types.nullOr types.str) null;
      description = option types.str "";
      before = option (types.listOf types.str) [ ];
    };
  };
  script = types.submodule {
    options = {
      exec = mkOption { type = types.str; };
      description = option types.str "";
    };
  };

  skeleton = {
    options = {
      assertions = option (types.listOf types.unspecified) [ ];
      warnings = option (types.listOf types.str) [ ];
      packages = option (types.listOf types.package) [ ];
      env = option (types.attrsOf types.anything) { };
      enterShell = option types.lines "";
      enterTest = option types.lines "";
      processes = option (types.attrsOf process) { };
      tasks = option (types.attrsOf task) { };
      scripts = option (types.attrsOf script) { };
      devenv = {
        root = option types.str root;
        state = option types.str "${root}/.devenv/state";
        runtime = option types.str "/run/devenv-0000000";
        flakesIntegration = option types.bool flakeMode;
      };
    };
    config._module.args = { inherit pkgs; };
  };
in
modules:
let
  project = lib.evalModules { modules = [ skeleton ] ++ modules; };
in
{
  inherit pkgs;
  inherit (project) config options;
}
