# shellcheck shell=bash
# Starting, watching and ending plain local processes. Sourced by the scripts beside it and by scripts/*.
#
# A pid file holds two lines: the pid, and the start time of that process in clock ticks since boot. Pids are
# reused; a process counts as ours, and is ever signalled, only while both lines fit what /proc says.

# One line of progress: who, and what.
progress() {
  printf '%-9s %s\n' "$1" "$2"
}

# Ends the script. The message says what is wrong and what to do next.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints when the process started. Fails when there is no such process, or only a zombie that nobody has reaped.
start_time_of() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The name stands in brackets and may hold anything, so the fields are counted from behind the last bracket.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
  echo "${fields[19]}"
}

# Prints the pid of the process that this pid file stands for. Fails when it is not running any more.
running_pid() {
  local pid started
  [[ -s $1 ]] || return 1
  { read -r pid && read -r started; } <"$1" || return 1
  [[ $(start_time_of "$pid") == "$started" ]] || return 1
  echo "$pid"
}

is_running() {
  running_pid "$1" >/dev/null
}

# start_process PID_FILE LOG COMMAND...: starts a process that outlives this script and its terminal.
# Descriptor 9 is the lock of scripts/up; a server that inherited it would hold the lock for as long as it lives.
start_process() {
  local pid_file=$1 log=$2 pid
  shift 2
  setsid "$@" >>"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  printf '%s\n%s\n' "$pid" "$(start_time_of "$pid" || echo gone)" >"$pid_file"
}

# stop_process PID_FILE SIGNAL SECONDS LAST_SIGNAL: asks the process to end, waits, and insists after SECONDS.
# Fine when it is not running.
stop_process() {
  local pid_file=$1 signal=$2 seconds=$3 last_signal=$4 pid
  if pid=$(running_pid "$pid_file"); then
    kill -s "$signal" "$pid" 2>/dev/null || true
    if ! wait_for_end "$pid_file" "$seconds"; then
      kill -s "$last_signal" "$pid" 2>/dev/null || true
      wait_for_end "$pid_file" 10 || fail "process $pid does not end; look at it with: ps -fp $pid"
    fi
  fi
  rm -f "$pid_file"
}

wait_for_end() {
  local deadline=$((SECONDS + $2))
  while is_running "$1"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# wait_until PID_FILE LOG SECONDS WHAT PROBE...: repeats the probe until it succeeds. Ends the script when the process
# has died meanwhile or the time is up, and shows the end of the log.
wait_until() {
  local pid_file=$1 log=$2 seconds=$3 what=$4
  local deadline=$((SECONDS + seconds))
  shift 4
  until "$@"; do
    is_running "$pid_file" || fail_with_log "$log" "$what: the process has ended"
    ((SECONDS < deadline)) || fail_with_log "$log" "$what: not after $seconds s"
    sleep 0.1
  done
}

fail_with_log() {
  printf -- '--- the last lines of %s\n' "$1" >&2
  tail -n 20 "$1" >&2 || true
  printf -- '---\n' >&2
  fail "$2. The log is $1. Once the cause is gone, run the same command again."
}

# Prints the socket inodes that listen on a TCP port, whatever the address.
listeners_on() {
  local hex
  printf -v hex '%04X' "$1"
  # Local address, state (0A is LISTEN) and inode are columns 2, 4 and 10.
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }'
}

port_is_free() {
  [[ -z $(listeners_on "$1") ]]
}

# Prints "pid 123 (name)" for the process that listens on a port, as far as this user may know.
owner_of_port() {
  local inode link pid
  for inode in $(listeners_on "$1"); do
    for link in /proc/[0-9]*/fd/*; do
      if [[ $(readlink "$link" 2>/dev/null) == "socket:[$inode]" ]]; then
        pid=${link#/proc/}
        pid=${pid%%/*}
        echo "pid $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-80))"
        return
      fi
    done
  done
  echo "a process that this user may not see"
}

# require_port PORT VARIABLE: ends the script when somebody else has the port. A process that was killed a moment ago
# may still hold its port while nobody is to be found any more, so that is waited for.
require_port() {
  local deadline=$((SECONDS + 5)) owner
  until port_is_free "$1"; do
    owner=$(owner_of_port "$1")
    # Finding the owner may take seconds, in which the port may have become free.
    [[ $owner != pid* ]] && ((SECONDS < deadline)) || port_is_free "$1" ||
      fail "port $1 is already in use by $owner. End that process, or choose another port with $2."
    sleep 0.1
  done
}
