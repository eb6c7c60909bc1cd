# Times as cron has them, with what the modules make of them for systemd.
let
  lib = import ./lib;
  onCalendar = import ../../modules/lib/on-calendar.nix { inherit lib; };
  schedule = cron: {
    inherit cron;
    timezone = "UTC";
  };
  crons = [
    "0 3 * * *"
    "*/5 * * * *"
    "7-59/13 * * * *"
    "0,30 8-18/2 * * *"
    "30 4 * jan,MAR-may *"
    "0 9 * * mon-fri"
    "0 9 * * 0,5-7"
    "0 9 * * */2"
    "0 9 * * fri-sun"
    "15 10 1-7 * *"
    "0 0 */10 * *"
    "0 0 L * *"
    "0 0 1,15,L 2,3 *"
    "0 0 * * FRI#2"
    "0 0 * * 1#5"
    "0 12 ? * 5L"
    "0 12 * 6 MONL"
    "0 0 13 * FRI"
    "0 0 13 * +FRI"
    "0 0 29 2 *"
    "30 0 12 1 1 * 2027-2029"
    "0 0 0 1 1 * 2030,2040"
    "59 23 31 12 *"
    "@hourly"
    "@daily"
    "@weekly"
    "@monthly"
    "@yearly"
  ];
  zones = [
    "Europe/Berlin"
    "Asia/Kathmandu"
    "America/Santiago"
    "Pacific/Auckland"
  ];
  all =
    map schedule crons
    ++ map (timezone: {
      cron = "45 1 * * sun";
      inherit timezone;
    }) zones;
in
{
  all = map (one: one // onCalendar one) all;
}
