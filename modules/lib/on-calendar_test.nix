{ nixbox, check, ... }:
let
  # The helper is held against the same list.
  cases = builtins.fromJSON (
    builtins.readFile ../../helper/crates/calendar/src/on_calendar_cases.json
  );
  refuses = schedule: check.that (nixbox.onCalendar schedule ? refused) "it is not refused";
in
builtins.listToAttrs (
  map (
    case:
    let
      schedule = removeAttrs case [
        "says"
        "calendar"
      ];
    in
    {
      name = case.says;
      value =
        if case ? calendar then
          check.equal (nixbox.onCalendar schedule) { inherit (case) calendar; }
        else
          refuses schedule;
    }
  ) cases
)
// {
  "refused: side by side" = refuses {
    cron = "@daily";
    overlap = "allow";
  };
}
