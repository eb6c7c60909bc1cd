#!/usr/bin/env bash
# What holds where the kernel has every controller in version 2: run by test_control_groups.py, in a machine of its own.
cg=/sys/fs/cgroup
said=/tmp/said.$UID

check() { # NAME COMMAND…
  local name=$1
  shift
  if "$@" >"$said" 2>&1; then echo "ok $name"; else echo "not ok $name (ended with $?)"; sed 's/^/    /' "$said"; fi
}
eventually() { # COMMAND…: within twenty seconds
  for _ in $(seq 100); do "$@" && return; sleep 0.2; done
  return 1
}
ends() { # CODE TEXT COMMAND…: with this code, and having said this
  local wanted=$1 text=$2 code=0
  shift 2
  "$@" >"$said.ended" 2>&1 || code=$?
  cat "$said.ended"
  [ "$code" = "$wanted" ] && grep -q -- "$text" "$said.ended"
}
group() { find $cg -type d -name "nixbox-*.$1"; }
has() { # GROUP FILE TEXT
  [ "$(cat "$(group "$1")/$2")" = "$3" ]
}
spent() { sed -n 's/^usage_usec //p' "$(group "$1")/cpu.stat"; }
no_group() { [ -z "$(find $cg -type d -name 'nixbox-*')" ]; }
no_process() { ! pgrep -f "^$1" >/dev/null; }

project() { # FOLDER
  mkdir -p "$1" && cd "$1" || exit
  cat >nixbox.toml <<'END'
version = 1
[instances.box]
base = "."
exclude = ["nixbox.toml"]
mount.path = "mnt"
[jobs.a]
exec = ["sleep", "1000"]
limits = { cpu = 0.5, memory = "64MiB", pids = 20 }
[jobs.spin]
exec = ["sh", "-c", "while :; do :; done"]
limits = { cpu = 0.2 }
END
}
greedy='head -c 300000000 /dev/zero | tail > /dev/null; exit 3'
many='sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait'

as_root() {
  export XDG_RUNTIME_DIR=/run
  project /tmp/root
  check 'up' nixbox-helper up -d
  check 'a job is held to its processors' eventually has a cpu.max '50000 100000'
  check 'a job is held to its memory' has a memory.max $((64 << 20))
  check 'a job swaps nothing' eventually has_no_swap
  check 'a job is held to its processes' has a pids.max 20
  check 'stats shows of how much' ends 0 'of 64.0 MiB' nixbox-helper stats --no-stream
  check 'update' nixbox-helper update a --memory 128MiB --cpu 2
  check 'it holds at once' has a memory.max $((128 << 20))
  check 'and for processors' has a cpu.max '200000 100000'
  check 'too much memory' ends 3 out-of-memory nixbox-helper exec --memory 48MiB -- sh -c "$greedy"
  check 'too many processes' ends 2 fork nixbox-helper exec --pids 3 -- sh -c "$many"
  check 'too long' ends 125 timed-out nixbox-helper exec --timeout 0.5 --pids 50 -- sh -c 'setsid sleep 777 & sleep 60'
  check 'nothing outlives it' no_process 'sleep 777'
  local before
  before=$(spent spin)
  sleep 5
  check 'a fifth of a processor is no more than that' test $(($(spent spin) - before)) -lt 1600000
  check 'pause' nixbox-helper pause spin
  check 'it stands still' grep -q 'frozen 1' "$(group spin)/cgroup.events"
  before=$(spent spin)
  sleep 1
  check 'it takes nothing' test "$(spent spin)" = "$before"
  check 'unpause' nixbox-helper unpause spin
  check 'stop takes the group along' nixbox-helper stop spin
  check 'it is gone' eventually test -z "$(group spin)"
  for pid in $(pgrep nixbox- | sort -rn); do kill -9 "$pid" 2>/dev/null; done
  check 'what a killed supervisor has left is there' test -n "$(group a)"
  check 'down' nixbox-helper down
  check 'and takes it away' eventually no_group
}
has_no_swap() { ! [ -e "$(group a)/memory.swap.max" ] || has a memory.swap.max 0; }

as_user() { # CASE
  export XDG_RUNTIME_DIR=/tmp/run-$1
  mkdir -m 700 "$XDG_RUNTIME_DIR"
  project "/tmp/user-$1"
  check "$1: up" nixbox-helper up -d
  check "$1: too much memory" ends 3 "$2" nixbox-helper exec --memory 48MiB --cpu 0.5 -- sh -c "$greedy"
  check "$1: pause" nixbox-helper pause spin
  check "$1: unpause" nixbox-helper unpause spin
  check "$1: update" ends 0 "$3" nixbox-helper update a --memory 1GiB
  check "$1: down" nixbox-helper down
  check "$1: no group is left" eventually no_group
}

# GROUP: as systemd would hand it to a user
hand_over() { chown user:user "$cg/$1" "$cg/$1"/cgroup.{procs,subtree_control,threads}; }
below() { # GROUP COMMAND…: there, as an ordinary user
  local group=$1
  shift
  (echo 0 >"$cg/$group/cgroup.procs" && exec setpriv --reuid 1000 --regid 1000 --clear-groups bash /script "$@")
}

case ${1-all} in
  as_user) as_user "$2" "$3" "$4" ;;
  all)
    chmod 644 /script
    as_root
    for word in cpu memory pids; do echo +$word >$cg/cgroup.subtree_control; done
    mkdir $cg/other $cg/users
    echo '+cpu +memory +pids' >$cg/users/cgroup.subtree_control
    mkdir -p $cg/users/mine/session $cg/users/flat
    for group in users/mine users/mine/session users/flat; do hand_over $group; done
    below other as_user undelegated 'may make no control group' 'when it is started again'
    below users/mine/session as_user delegated out-of-memory 'a: changed'
    # Where processes are, no controllers are handed down; the group itself is good for pausing and ending.
    below users/flat as_user flat 'no controller for that' '.*'
    check 'flat: it stays a group of processes' grep -qx domain $cg/users/flat/cgroup.type
    ;;
esac
true
