# `limits` of a job and its instance, as systemd says them: it may make control
# groups where the job itself may not. How long it may run the job sees to, which says so.
{ lib }:
job: instance:
let
  inherit (lib) optionalAttrs;
  of = name: if job.limits.${name} != null then job.limits.${name} else instance.limits.${name};
  cpu = of "cpu";
  memory = of "memory";
  pids = of "pids";

  # "1 GiB" -> 1073741824; systemd has no unit that is a power of ten
  bytes =
    size:
    let
      parts = builtins.match "0*([1-9][0-9]*) ?([A-Za-z]*)" (toString size);
      power = base: exponent: if exponent == 0 then 1 else base * power base (exponent - 1);
      unit = lib.toLower (builtins.elemAt parts 1);
      base = if lib.hasSuffix "ib" unit then 1024 else 1000;
      exponent =
        {
          k = 1;
          m = 2;
          g = 3;
          t = 4;
        }
        .${lib.substring 0 1 unit} or 0;
    in
    lib.toInt (builtins.elemAt parts 0) * power base exponent;
in
optionalAttrs (cpu != null) { CPUQuota = "${toString (builtins.ceil (cpu * 100))}%"; }
// optionalAttrs (memory != null) {
  MemoryMax = bytes memory;
  MemorySwapMax = 0;
}
// optionalAttrs (pids != null) { TasksMax = pids; }
