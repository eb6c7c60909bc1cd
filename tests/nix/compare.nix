# Our small lib against nixpkgs': the same inputs, the same answers.
{ libPath }:
let
  mine = import ./lib;
  theirs = import (/. + libPath);
  check = import ./check.nix;
  same =
    f:
    let
      tried = lib: builtins.tryEval (builtins.deepSeq (f lib) (f lib));
    in
    check.equal (tried mine) (tried theirs);

  configuration =
    agentfs: lib: (import ./schema.nix { inherit lib; } [ { services.agentfs = agentfs lib; } ]).cfg;
  rendered =
    agentfs: lib: (import ../../modules/lib { inherit lib; }).render (configuration agentfs lib);
  assertions =
    agentfs: lib:
    (import ../../modules/lib { inherit lib; }).assertions { cfg = configuration agentfs lib; };
  documented =
    lib:
    map
      (o: {
        inherit (o)
          name
          description
          type
          readOnly
          ;
        default = o.default.text or null;
        example = o.example.text or null;
      })
      (
        builtins.filter (o: !o.internal && !(lib.hasInfix "_module" o.name)) (
          lib.optionAttrSetToDocList (import ./schema.nix { inherit lib; } [ ]).options
        )
      );
  plain = value: _: value;
  small-devenv =
    typed: lib:
    let
      inherit
        (import ./hosts/small-devenv.nix { inherit lib typed; } [
          ../../modules/devenv.nix
          {
            services.agentfs = {
              enable = true;
              package = check.package "nixbox" "/package";
              instances.a.http = { };
            };
          }
        ])
        config
        ;
    in
    {
      inherit (config)
        env
        enterShell
        enterTest
        processes
        scripts
        tasks
        ;
    };

  # fields of a module system that decide what wins
  merged =
    modules: lib:
    (lib.evalModules {
      modules = [
        {
          options = {
            x = lib.mkOption {
              type = lib.types.attrsOf lib.types.str;
              default.a = "default";
            };
            n = lib.mkOption {
              type = lib.types.nullOr lib.types.ints.unsigned;
              default = null;
            };
            l = lib.mkOption {
              type = lib.types.listOf lib.types.str;
              default = [ ];
            };
            t = lib.mkOption {
              type = lib.types.lines;
              default = "";
            };
            deep.er = lib.mkOption { type = lib.types.bool; };
          };
        }
      ]
      ++ modules lib;
    }).config;
in
{
  results = {
    modules = {
      "the option reference" = same documented;
      "nothing declared" = same (rendered (plain { }));
      "two instances" = same (
        rendered (plain {
          instances.a.http = { };
          instances.b.mount.path = "m";
        })
      );
      "priorities" = same (
        rendered (lib: {
          dataDir = lib.mkMerge [
            (lib.mkDefault "low")
            (lib.mkForce "high")
            (lib.mkIf false "never")
          ];
          instances = lib.mkIf true {
            a = lib.mkMerge [
              { mount.path = lib.mkDefault "x"; }
              { mount.path = "y"; }
            ];
            b = lib.mkIf false { };
          };
        })
      );
      "assertions" = same (
        assertions (plain {
          defaultInstance = "x";
          instances.Bad.mount.path = "/";
        })
      );
      "devenv 2.x" = same (small-devenv true);
      "devenv 1.x" = same (small-devenv false);
      "unknown option: both refuse" = same (
        rendered (plain {
          nonsense = 1;
        })
      );
      "wrong type: both refuse" = same (
        rendered (plain {
          instances.a.http.port = -1;
        })
      );
      "a conflict: both refuse" = same (
        rendered (lib: {
          dataDir = lib.mkMerge [
            "a"
            "b"
          ];
        })
      );
    };

    system =
      builtins.mapAttrs
        (
          _: modules:
          same (
            lib:
            let
              c = merged modules lib;
            in
            {
              inherit (c)
                x
                n
                l
                t
                ;
            }
          )
        )
        {
          "defaults" = _: [ ];
          "a definition replaces a default" = _: [ { x.b = "1"; } ];
          "sets merge, lists append, lines join" = _: [
            {
              x.b = "1";
              l = [ "1" ];
              t = "one";
            }
            {
              x.c = "2";
              l = [ "2" ];
              t = "two";
            }
          ];
          "mkDefault and mkForce inside a set" = lib: [
            { x.a = lib.mkDefault "low"; }
            { x.a = "plain"; }
            { x.b = lib.mkForce "forced"; }
            { x.b = "lost"; }
          ];
          "mkForce of a whole set" = lib: [
            { x = lib.mkForce { z = "1"; }; }
            { x.y = "2"; }
          ];
          "mkIf around a module" = lib: [
            { config = lib.mkIf false { x.a = "no"; }; }
            { config = lib.mkIf true { x.a = "yes"; }; }
          ];
          "mkMerge in mkIf in mkMerge" = lib: [
            {
              config = lib.mkMerge [
                (lib.mkIf true (
                  lib.mkMerge [
                    { x.a = "1"; }
                    { l = [ "m" ]; }
                  ]
                ))
                (lib.mkIf false { t = "no"; })
              ];
            }
          ];
          "null and a number" = lib: [
            { n = lib.mkDefault null; }
            { n = 5; }
          ];
          "a function, and imports" = _: [
            (
              { config, lib, ... }:
              {
                imports = [ { x.i = "imported"; } ];
                l = lib.optional (config.n == null) "asked";
              }
            )
          ];
          "a number below zero: both refuse" = _: [ { n = -1; } ];
          "a string for a list: both refuse" = _: [ { l = "x"; } ];
          "an unknown option: both refuse" = _: [ { unknown = 1; } ];
          "a stray attribute: both refuse" = _: [
            {
              config = { };
              x.a = "1";
            }
          ];
        };

    functions = builtins.mapAttrs (_: same) {
      "hasInfix" =
        lib:
        map (x: lib.hasInfix x "a.b*c") [
          ""
          "."
          "b*"
          "d"
        ];
      "hasPrefix, hasSuffix" = lib: [
        (lib.hasPrefix "ab" "abc")
        (lib.hasPrefix "" "")
        (lib.hasSuffix "bc" "abc")
        (lib.hasSuffix "abcd" "abc")
      ];
      "removePrefix, removeSuffix" = lib: [
        (lib.removePrefix "./" "./x")
        (lib.removePrefix "./" "x")
        (lib.removeSuffix "/" "x/")
        (lib.removeSuffix "/" "x")
      ];
      "splitString" =
        lib:
        map (lib.splitString "/") [
          ""
          "/"
          "a//b/"
          "a.b"
        ];
      "toUpper" = lib: lib.toUpper "aZ-ö_9";
      "recursiveUpdate" =
        lib:
        lib.recursiveUpdate
          {
            a.b = 1;
            c.d = 1;
          }
          {
            a.e = 2;
            c = 3;
          };
      "filterAttrs, mapAttrs'" =
        lib:
        lib.mapAttrs' (n: lib.nameValuePair "x${n}") (
          lib.filterAttrs (_: v: v > 1) {
            a = 1;
            b = 2;
          }
        );
      "concatMapAttrs" =
        lib:
        lib.concatMapAttrs
          (n: v: {
            "${n}1" = v;
            "${n}2" = v;
          })
          {
            a = 1;
            b = 2;
          };
      "unique" =
        lib:
        lib.unique [
          1
          2
          1
          3
          2
        ];
      "genAttrs" = lib: lib.genAttrs [ "a" "b" ] (n: n + n);
      "optional and kin" = lib: [
        (lib.optional true 1)
        (lib.optionals false [ 1 ])
        (lib.optionalString true "x")
        (lib.optionalAttrs false { a = 1; })
      ];
      "getExe" = lib: [
        (lib.getExe (check.package "p" "/p" // { meta.mainProgram = "m"; }))
        (lib.getExe' (check.package "p" "/p") "x")
      ];
      "importTOML" = lib: (lib.importTOML ../../helper/Cargo.toml).workspace.package.license;
    };
  };
}
