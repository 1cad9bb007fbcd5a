# shellcheck shell=bash
# The servers of this checkout: which are ours, which are given, and what .dev/env says about them.
# Sourced by the other scripts, after `root` is set to the checkout.

# shellcheck source=deploy/local/processes.sh
source "$root/deploy/local/processes.sh"

readonly dev=$root/.dev

# Only one script at a time starts or stops things here. Descriptor 9 is not passed on to what is started.
lock_dev() {
  mkdir -p "$dev"
  exec 9>"$dev/lock"
  if ! flock -n 9; then
    progress booster "another script is starting or stopping things here; waiting for it"
    flock -w 900 9 || fail "another script has held $dev/lock for 15 minutes. Find it with: fuser -v '$dev/lock'"
  fi
}

unlock_dev() {
  flock -u 9
}

# port_of SERVER VARIABLE DEFAULT: what the user asks for, else where it was last time, else the default.
port_of() {
  if [[ -n ${!2:-} ]]; then
    echo "${!2}"
  elif [[ -s $dev/$1/port ]]; then
    cat "$dev/$1/port"
  else
    echo "$3"
  fi
}

redis_port() { port_of redis BOOSTER_REDIS_PORT 17001; }
postgres_port() { port_of postgres BOOSTER_POSTGRES_PORT 15432; }
kafka_port() { port_of kafka BOOSTER_KAFKA_PORT 19092; }

our_redis_nodes() {
  local port nodes=()
  for port in $(seq "$1" $(($1 + 5))); do nodes+=("127.0.0.1:$port"); done
  (IFS=, && echo "${nodes[*]}")
}

# A value from the environment is only given by the user when it is not what .dev/env says of our own server: a
# person who has sourced that file still gets dead servers restarted. The password does not count, because a
# wiped server comes back with another one.
redis_is_given() {
  [[ -n ${BOOSTER_REDIS_NODES:-} && $BOOSTER_REDIS_NODES != "$(our_redis_nodes "$(redis_port)")" ]]
}

kafka_is_given() {
  [[ -n ${BOOSTER_KAFKA_BROKERS:-} && $BOOSTER_KAFKA_BROKERS != "127.0.0.1:$(kafka_port)" ]]
}

postgres_is_given() {
  local port
  port=$(postgres_port)
  [[ -n ${BOOSTER_POSTGRES_URL:-}${BOOSTER_POSTGRES_ADMIN_URL:-} ]] || return 1
  [[ -n ${BOOSTER_POSTGRES_URL:-} && -n ${BOOSTER_POSTGRES_ADMIN_URL:-} ]] ||
    fail "only one of BOOSTER_POSTGRES_URL and BOOSTER_POSTGRES_ADMIN_URL is set. Set both, or neither."
  [[ $BOOSTER_POSTGRES_URL != postgres://{service}:*@127.0.0.1:$port/booster ||
    $BOOSTER_POSTGRES_ADMIN_URL != postgres://booster_admin:*@127.0.0.1:$port/booster ]]
}

# Prints the servers that are ours to start, and says of the others that they are given.
our_servers() {
  local server
  for server in redis postgres kafka; do
    if "${server}_is_given"; then
      progress "$server" "given in the environment; not started here" >&2
    else
      echo "$server"
    fi
  done
}

# start_servers SERVER...: packages one after the other, because apt takes one at a time; then all servers at once.
start_servers() {
  local server pids=() failed=0
  for server in "$@"; do "$root/deploy/local/$server" install; done
  for server in "$@"; do
    "start_$server" &
    pids+=($!)
  done
  for server in "${pids[@]}"; do wait "$server" || failed=1; done
  ((failed == 0)) || fail "not all servers could be started; the messages above say why."
}

start_redis() {
  "$root/deploy/local/redis" start "$dev" "$(redis_port)" --durability "${BOOSTER_DURABILITY:-fsync}"
}

start_postgres() { "$root/deploy/local/postgres" start "$dev" "$(postgres_port)"; }
start_kafka() { "$root/deploy/local/kafka" start "$dev" "$(kafka_port)"; }

# Writes .dev/env anew: our own servers as they are now, the given ones as they were given.
write_env() {
  local file=$dev/env
  (umask 077 && env_lines >"$file.new")
  mv "$file.new" "$file"
}

env_lines() {
  local admin_url=${BOOSTER_POSTGRES_ADMIN_URL:-} url=${BOOSTER_POSTGRES_URL:-}
  local nodes=${BOOSTER_REDIS_NODES:-} brokers=${BOOSTER_KAFKA_BROKERS:-}
  redis_is_given || nodes=$(our_redis_nodes "$(redis_port)")
  kafka_is_given || brokers=127.0.0.1:$(kafka_port)
  if ! postgres_is_given; then
    url=$("$root/deploy/local/postgres" urls "$dev" | sed -n 's/^BOOSTER_POSTGRES_URL=//p')
    admin_url=$("$root/deploy/local/postgres" urls "$dev" | sed -n 's/^BOOSTER_POSTGRES_ADMIN_URL=//p')
  fi
  echo "# Written by scripts/up. Source it to talk to the servers of this checkout; it holds passwords."
  echo "export BOOSTER_REDIS_NODES=${nodes@Q}"
  echo "export BOOSTER_KAFKA_BROKERS=${brokers@Q}"
  echo "export BOOSTER_POSTGRES_URL=${url@Q}"
  echo "export BOOSTER_POSTGRES_ADMIN_URL=${admin_url@Q}"
  echo "export BOOSTER_DURABILITY=${BOOSTER_DURABILITY:-fsync}"
}
