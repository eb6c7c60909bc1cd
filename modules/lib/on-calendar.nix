# A schedule's times in the words of systemd: { calendar; } or { refused; }, the reason.
# Exactly the same times, or none: what systemd cannot say is refused.
{ lib }:
schedule:
let
  inherit (builtins)
    elem
    elemAt
    filter
    fromJSON
    genList
    head
    isString
    length
    match
    replaceStrings
    split
    ;

  words = text: filter (word: isString word && word != "") (split "[ \t]+" text);
  parts = text: filter isString (split "," text);
  mod = a: b: a - (a / b) * b;
  # "07" is no number to JSON
  number = text: fromJSON (head (match "0*([0-9]+)" text));
  isNumber = text: match "[0-9]+" text != null;

  nicknames = {
    "@YEARLY" = "0 0 1 1 *";
    "@ANNUALLY" = "0 0 1 1 *";
    "@MONTHLY" = "0 0 1 * *";
    "@WEEKLY" = "0 0 * * 0";
    "@DAILY" = "0 0 * * *";
    "@HOURLY" = "0 * * * *";
  };
  months = [
    "JAN"
    "FEB"
    "MAR"
    "APR"
    "MAY"
    "JUN"
    "JUL"
    "AUG"
    "SEP"
    "OCT"
    "NOV"
    "DEC"
  ];
  days = [
    "SUN"
    "MON"
    "TUE"
    "WED"
    "THU"
    "FRI"
    "SAT"
  ];
  shown = [
    "Sun"
    "Mon"
    "Tue"
    "Wed"
    "Thu"
    "Fri"
    "Sat"
  ];
  numbered = from: names: genList (at: toString (at + from)) (length names);

  # A field of numbers, or null where systemd has no words for it.
  field =
    least: text:
    let
      item =
        one:
        let
          step = match "[*]/([0-9]+)" one;
          range = match "([0-9]+)-([0-9]+)(/([0-9]+))?" one;
        in
        if one == "*" then
          "*"
        else if step != null then
          if least == null then null else "${toString least}/${head step}"
        else if range != null then
          "${elemAt range 0}..${elemAt range 1}${
            lib.optionalString (elemAt range 2 != null) "/${elemAt range 3}"
          }"
        else if isNumber one then
          one
        else
          null;
      items = map item (parts text);
    in
    if items == [ ] || elem null items then
      null
    else if elem "*" items then
      "*"
    else
      lib.concatStringsSep "," items;

  # The days of the week of one item, as numbers from 0; null where it is none.
  weekdays =
    one:
    let
      step = match "[*]/([0-9]+)" one;
      range = match "([0-7])-([0-7])(/([0-9]+))?" one;
      every =
        from: to: step:
        filter (day: mod (day - from) step == 0) (genList (at: from + at) (to - from + 1));
    in
    if one == "*" then
      every 0 6 1
    else if step != null then
      every 0 6 (number (head step))
    else if range != null then
      every (number (elemAt range 0)) (number (elemAt range 1)) (
        if elemAt range 2 == null then 1 else number (elemAt range 3)
      )
    else if match "[0-7]" one != null then
      [ (number one) ]
    else
      null;

  cron =
    let
      text = lib.toUpper (nicknames.${lib.toUpper schedule.cron} or schedule.cron);
      given = words (
        replaceStrings ([ "-SUN" ] ++ days ++ months) (
          [ "-7" ] ++ numbered 0 days ++ numbered 1 months
        ) text
      );
      count = length given;
      all =
        if count == 5 then
          [ "0" ] ++ given ++ [ "*" ]
        else if count == 6 then
          given ++ [ "*" ]
        else
          given;
      at = elemAt all;
      open = text: if text == "?" then "*" else text;
      both = lib.hasPrefix "+" (at 5);
      dom = open (at 3);
      dow = open (lib.removePrefix "+" (at 5));

      time = map (field 0) [
        (at 2)
        (at 1)
        (at 0)
      ];
      month = field 1 (at 4);
      year = field null (at 6);

      # The days of a month: as numbers, and the last.
      plain = filter (one: one != "L") (parts dom);
      dates =
        lib.optional (plain != [ ]) (
          let
            found = field 1 (lib.concatStringsSep "," plain);
          in
          if found == null then null else "-${found}"
        )
        ++ lib.optional (elem "L" (parts dom)) "~01";

      # The days of a week: in every week, in one of the month, and the last of the month.
      weekly = lib.unique (
        map (day: mod day 7) (lib.concatMap weekdays (filter (one: weekdays one != null) (parts dow)))
      );
      special = map (
        one:
        let
          nth = match "([0-7])#([1-5])" one;
          last = match "([0-7])L" one;
          name = day: elemAt shown (mod (number day) 7);
          first = 7 * (number (elemAt nth 1) - 1) + 1;
        in
        if nth != null then
          {
            day = name (head nth);
            date = "-${toString first}..${toString (if first > 25 then 31 else first + 6)}";
          }
        else if last != null then
          {
            day = name (head last);
            date = "~07/1";
          }
        else
          null
      ) (filter (one: weekdays one == null) (parts dow));

      entry =
        day: date:
        "${
          lib.optionalString (day != null) "${day} "
        }${year}-${month}${date} ${lib.concatStringsSep ":" time}${zone}";
      zone = lib.optionalString (schedule ? timezone) " ${schedule.timezone}";
      ofWeek = lib.concatStringsSep "," (map (elemAt shown) weekly);
      byDate = map (entry null) dates;
      byDay =
        lib.optional (weekly != [ ]) (entry ofWeek "-*") ++ map ({ day, date }: entry day date) special;
      bothWays = map (entry ofWeek) dates;

      isOdd = elem null (
        time
        ++ [
          month
          year
        ]
        ++ dates
        ++ special
      );
    in
    if count < 5 || count > 7 then
      { refused = "cron has five fields, six or seven"; }
    else if isOdd then
      { refused = "systemd has no words for this cron, or it is none"; }
    else if dom == "*" && dow == "*" then
      { calendar = [ (entry null "-*") ]; }
    else if dow == "*" then
      { calendar = byDate; }
    else if dom == "*" then
      { calendar = byDay; }
    else if !both then
      { calendar = byDate ++ byDay; }
    else if special == [ ] then
      { calendar = bothWays; }
    else
      { refused = "systemd has no words for a day of the month that is also such a day of the week"; };

  once =
    let
      found = match "([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})Z" schedule.at;
    in
    if found == null then
      { refused = "systemd is told a point in time in UTC, such as 2026-11-21T06:45:00Z"; }
    else
      { calendar = [ "${elemAt found 0} ${elemAt found 1} UTC" ]; };

  result = if schedule ? cron then cron else once;
in
if !(schedule ? cron || schedule ? at) then
  { refused = "neither cron nor at says when"; }
else if schedule.overlap or "skip" != "skip" then
  { refused = "systemd starts nothing that still runs: overlap is skip, or null"; }
else
  result
