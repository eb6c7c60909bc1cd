# What jobs and what depends on something must fit: assertions, as crates/config says it.
{ lib }:
{
  document,
  enabled, # the instances
  option,
  require,
  literalSecrets,
}:
let
  inherit (builtins) attrNames concatMap match;
  jobs = document.jobs or { };
  default = document.default_instance or null;

  there = name: enabled ? ${name} || (jobs.${name} or { enable = false; }).enable or true;

  needs =
    where: unit:
    concatMap (
      name:
      let
        at = "${where}.dependsOn.${name}";
      in
      [
        (require (there name) "${at}: nothing that is enabled is called so")
        (require (
          !(enabled ? ${name} && unit.depends_on.${name} == "completed")
        ) "${at}: an instance has no end that could be waited for")
        (require (
          !(jobs.${name} or { } ? watch && unit.depends_on.${name} == "completed")
        ) "${at}: what is run again at each change has no end that could be waited for")
      ]
    ) (attrNames (unit.depends_on or { }));

  health =
    where: unit:
    lib.optional (unit ? health) (
      require (
        (unit.health.exec or [ ] != [ ]) != unit.health ? http
      ) "${where}.health: either exec or http says what to check"
    );

  perJob =
    name:
    let
      job = jobs.${name};
      where = option "jobs.${name}";
      instance = toString (job.instance or default);
    in
    [
      (require (match "[a-z0-9][a-z0-9_-]{0,62}" name != null)
        "${option "jobs"}.\"${name}\": a name is made of lower case letters, digits, - and _, starts with a letter or digit and has at most 63 characters"
      )
      (require (!(document.instances ? ${name})) "${where}: an instance is called so as well")
      (require (job.exec or [ ] != [ ]) "${where}.exec names no program")
      (require (
        !(job.enable or true) || enabled ? ${instance}
      ) "${where}.instance is \"${instance}\", which is not an enabled instance")
      (require (literalSecrets where (job.env or { }) == [ ])
        "${where}.env looks like it holds a secret, and the Nix store is readable by everyone; name a file instead (…_FILE)"
      )
    ]
    ++ health where job
    ++ lib.optionals (job.enable or true) (needs where job);

  perInstance =
    name:
    let
      where = option "instances.${name}";
    in
    health where enabled.${name} ++ needs where enabled.${name};
in
concatMap perJob (attrNames jobs) ++ concatMap perInstance (attrNames enabled)
