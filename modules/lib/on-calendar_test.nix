{ nixbox, check, ... }:
let
  says = cron: calendar: check.equal (nixbox.onCalendar { inherit cron; }) { inherit calendar; };
  refuses = schedule: check.that (nixbox.onCalendar schedule ? refused) "it is not refused";
in
{
  "daily" = says "0 3 * * *" [ "*-*-* 3:0:0" ];
  "a nickname" = says "@weekly" [ "Sun *-*-* 0:0:0" ];
  "seconds" = says "*/10 * * * * *" [ "*-*-* *:*:0/10" ];
  "every second" = says "* * * * * *" [ "*-*-* *:*:*" ];
  "seconds and years" = says "30 0 12 1 1 * 2027-2029" [ "2027..2029-1-1 12:0:30" ];
  "lists, ranges and steps" = says "0,30 8-18/2 * jan,MAR-may *" [ "*-1,3..5-* 8..18/2:0,30:0" ];
  "weekdays by name" = says "0 9 * * mon-fri" [ "Mon,Tue,Wed,Thu,Fri *-*-* 9:0:0" ];
  "Sunday is 0 and 7" = says "0 9 * * 0,5-7" [ "Sun,Fri,Sat *-*-* 9:0:0" ];
  "every other day of the week" = says "0 9 * * */2" [ "Sun,Tue,Thu,Sat *-*-* 9:0:0" ];
  "the last of the month" = says "0 0 L * *" [ "*-*~01 0:0:0" ];
  "a date or the last" = says "0 0 1,L 2 *" [
    "*-2-1 0:0:0"
    "*-2~01 0:0:0"
  ];
  "the second Friday" = says "0 0 * * FRI#2" [ "Fri *-*-8..14 0:0:0" ];
  "the fifth Monday" = says "0 0 * * 1#5" [ "Mon *-*-29..31 0:0:0" ];
  "the last Friday" = says "0 0 ? * 5L" [ "Fri *-*~07/1 0:0:0" ];
  "of a date and a weekday either is enough" = says "0 0 13 * FRI" [
    "*-*-13 0:0:0"
    "Fri *-*-* 0:0:0"
  ];
  "both, where both are meant" = says "0 0 13 * +FRI" [ "Fri *-*-13 0:0:0" ];
  "a zone" =
    check.equal
      (nixbox.onCalendar {
        cron = "30 2 * * *";
        timezone = "Europe/Berlin";
      })
      {
        calendar = [ "*-*-* 2:30:0 Europe/Berlin" ];
      };
  "a point in time" = check.equal (nixbox.onCalendar { at = "2026-11-21T06:45:00Z"; }) {
    calendar = [ "2026-11-21 06:45:00 UTC" ];
  };

  "refused: the nearest weekday" = refuses { cron = "0 0 15W * *"; };
  "refused: every other year" = refuses { cron = "0 0 0 1 1 * */2"; };
  "refused: too few fields" = refuses { cron = "* * * *"; };
  "refused: no cron at all" = refuses { cron = "every day at noon"; };
  "refused: a date that is also the last such weekday" = refuses { cron = "0 0 13 * +5L"; };
  "refused: a point in time elsewhere" = refuses { at = "2026-11-21T06:45:00+01:00"; };
  "refused: side by side" = refuses {
    cron = "@daily";
    overlap = "allow";
  };
}
