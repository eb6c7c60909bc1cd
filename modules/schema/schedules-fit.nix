# What schedules must fit: assertions, as crates/config says it.
{
  document,
  enabled, # the instances
  option,
  require,
  literalSecrets,
}:
let
  inherit (builtins) attrNames concatMap match;
  schedules = document.schedules or { };
  jobs = document.jobs or { };
  default = document.default_instance or null;

  perSchedule =
    name:
    let
      schedule = schedules.${name};
      where = option "schedules.${name}";
      instance = toString (schedule.instance or default);
      is = key: schedule ? ${key};
    in
    [
      (require (match "[a-z0-9][a-z0-9_-]{0,62}" name != null)
        "${option "schedules"}.\"${name}\": a name is made of lower case letters, digits, - and _, starts with a letter or digit and has at most 63 characters"
      )
      (require (
        !(document.instances ? ${name} || jobs ? ${name})
      ) "${where}: an instance or a job is called so as well")
      (require (is "cron" != is "at") "${where}: either cron or at says when")
      (require (is "run" != is "exec") "${where}: either run or exec says what")
      (require (!(is "timezone") || is "cron") "${where}.timezone means something for cron alone")
      (require (!(is "instance") || is "exec") "${where}.instance means something for exec alone")
      (require (
        !(is "exec" && schedule.enable or true) || enabled ? ${instance}
      ) "${where}.instance is \"${instance}\", which is not an enabled instance")
      (require (literalSecrets where { words = schedule.run or [ ] ++ schedule.exec or [ ]; } == [ ])
        "${where} looks like it holds a secret, and the Nix store is readable by everyone; name a file instead"
      )
    ];
in
concatMap perSchedule (attrNames schedules)
