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
      parts = builtins.match "0*([1-9][0-9]*) ?([KkMmGgTt]?)([Ii]?)[Bb]?" (toString size);
      base = if builtins.elemAt parts 2 == "" then 1000 else 1024;
      power = exponent: if exponent == 0 then 1 else base * power (exponent - 1);
      letter = lib.replaceStrings [ "k" "m" "g" "t" ] [ "K" "M" "G" "T" ] (builtins.elemAt parts 1);
      exponent =
        {
          K = 1;
          M = 2;
          G = 3;
          T = 4;
        }
        .${letter} or 0;
    in
    builtins.fromJSON (builtins.elemAt parts 0) * power exponent;
in
optionalAttrs (cpu != null) { CPUQuota = "${toString (builtins.ceil (cpu * 100))}%"; }
// optionalAttrs (memory != null) {
  MemoryMax = bytes memory;
  MemorySwapMax = 0;
}
// optionalAttrs (pids != null) { TasksMax = pids; }
