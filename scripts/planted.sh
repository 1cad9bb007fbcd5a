# shellcheck shell=bash
# Defects, planted one at a time into a copy of this checkout: each must turn the tests red.
# Sourced by scripts/test, after `root` is set and deploy/local/processes.sh is read.
#
# A defect is a patch in scripts/planted. Its first line says what is wrong then, its second which tests must see it:
#   # red: ARGUMENTS OF CARGO TEST

# The copy has servers of its own: a Redis function with a defect must not come to anybody else.
readonly PLANTED_REDIS_PORT=18201
readonly PLANTED_POSTGRES_PORT=15732
readonly PLANTED_KAFKA_PORT=19392
# How long the tests of one defect may take, in seconds: one that makes them wait for ever is found as well.
readonly PLANTED_SECONDS=900

test_planted() {
  local patch name lines green=0
  copy_checkout
  trap 'in_copy scripts/down --wipe >/dev/null 2>&1 || true' EXIT
  progress planted "without a defect, which must be green: $copy"
  while read -r lines; do
    # The arguments are words.
    # shellcheck disable=SC2086
    in_copy scripts/test -- $lines </dev/null >"$copy/green.log" 2>&1 || fail_with_log "$copy/green.log" "$lines is red without any defect"
  done < <(sed -n 's/^# red: //p' "$root"/scripts/planted/*.patch | sort -u)
  for patch in "$root"/scripts/planted/*.patch; do
    name=$(basename "$patch" .patch)
    plant "$patch" "$name" || green=$((green + 1))
  done
  ((green == 0)) || fail "$green planted defects were not seen by the tests that are named in their patches."
  progress planted "every defect was seen"
}

# Every file as it is now, without what git ignores.
copy_checkout() {
  copy=$root/target/planted/checkout
  rm -rf "$copy"
  mkdir -p "$copy"
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy")
}

# Runs a command in the copy, with an environment that knows nothing of our own servers.
in_copy() {
  (cd "$copy" && env -u BOOSTER_REDIS_NODES -u BOOSTER_KAFKA_BROKERS -u BOOSTER_POSTGRES_URL -u BOOSTER_POSTGRES_ADMIN_URL \
    BOOSTER_REDIS_PORT=$PLANTED_REDIS_PORT BOOSTER_POSTGRES_PORT=$PLANTED_POSTGRES_PORT \
    BOOSTER_KAFKA_PORT=$PLANTED_KAFKA_PORT CARGO_TARGET_DIR="$root/target/planted/target" "$@")
}

# plant PATCH NAME: applies it, builds, runs its tests, takes it back. Succeeds when the tests were red.
plant() {
  local patch=$1 name=$2 log=$root/target/planted/$2.log code=0 tests seen
  tests=$(sed -n 's/^# red: //p' "$patch")
  progress planted "$name: $(sed -n '1s/^# //p' "$patch")"
  apply "$patch" || fail "$patch does not apply any more: make it anew from today's code."
  # shellcheck disable=SC2086
  in_copy env SQLX_OFFLINE=true cargo test --locked --no-run ${tests%% --test *} >"$log" 2>&1 ||
    fail_with_log "$log" "$name does not compile: a defect must be one that the compiler lets pass"
  # shellcheck disable=SC2086
  in_copy timeout "$PLANTED_SECONDS" scripts/test -- $tests >"$log" 2>&1 || code=$?
  apply "$patch" --reverse || fail "$patch cannot be taken back"
  seen=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | sort -u | paste -sd ' ')
  if ((code == 0)); then
    progress planted "$name: GREEN, nobody has seen it; the log is $log"
    return 1
  elif ((code == 124)); then
    progress planted "$name: red, the tests did not end within $PLANTED_SECONDS s"
  elif [[ -z $seen ]]; then
    fail_with_log "$log" "$name: the tests could not be run"
  else
    progress planted "$name: red, seen by $seen"
  fi
}

# Outside of any repository, as git sees it, so that the paths of a patch are those of the copy.
apply() {
  (cd "$copy" && GIT_CEILING_DIRECTORIES=$root/target/planted git apply "${@:2}" "$1")
}
