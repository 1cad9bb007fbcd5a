# shellcheck shell=bash
# What sqlx has to know of our queries (.sqlx), asked of a real PostgreSQL that has today's migrations.
# Sourced by scripts/check and scripts/prepare, after scripts/servers.sh and deploy/local/packages.sh.

readonly QUERY_DATABASE=booster_sqlx

# write_queries DIRECTORY CLIPPY_ARGUMENT...: lints the workspace against the database, and fills the directory.
#
# sqlx's macros write what they learn of a query when they are expanded with DATABASE_URL and SQLX_OFFLINE_DIR set.
# Cargo does not know of that and would not expand anything again, but clippy looks at every crate of ours again when
# its own arguments change: the name that nothing asks for makes them differ each time. Dependencies, and the builds
# of other profiles, stay as they are.
write_queries() {
  local directory=$1 url
  shift
  make_query_database
  url=$(query_database_url)
  DATABASE_URL=$url SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$directory \
    cargo clippy --workspace --all-targets --locked -- "$@" --cfg "queries_$(date +%s%N)"
}

# Drops and creates the database, and applies the migrations by psql and not by `booster migrate`: that program cannot
# be compiled while what sqlx has to know of a new query is missing.
make_query_database() {
  local service
  command -v psql >/dev/null || install_packages postgres postgresql-client
  ask_for_admin_url
  progress queries "making the database $QUERY_DATABASE anew"
  run_psql "$admin_url" -c "DROP DATABASE IF EXISTS $QUERY_DATABASE WITH (FORCE)" -c "CREATE DATABASE $QUERY_DATABASE"
  for service in $(services); do apply_migrations "$service"; done
}

# Sets admin_url: of our own server, started if need be, or of the one that is given.
ask_for_admin_url() {
  if postgres_is_given; then
    admin_url=$BOOSTER_POSTGRES_ADMIN_URL
  else
    lock_dev
    start_servers postgres
    unlock_dev
    admin_url=$("$root/deploy/local/postgres" urls "$dev" | sed -n 's/^BOOSTER_POSTGRES_ADMIN_URL=//p')
  fi
}

# A service is a directory of migrations; those of the bus are applied in every service's schema.
services() {
  find "$root/migrations" -mindepth 1 -maxdepth 1 -type d ! -name bus -printf '%f\n' | sort
}

# As `booster migrate` does it: the service's role owns the schema and everything in it.
apply_migrations() {
  local service=$1 file arguments=()
  for file in "$root"/migrations/bus/*.sql "$root/migrations/$service"/*.sql; do
    [[ ! -e $file ]] || arguments+=(-f "$file")
  done
  run_psql "$(query_database_url)" \
    -c "DO \$\$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$service') THEN CREATE ROLE \"$service\"; END IF; END \$\$" \
    -c "CREATE SCHEMA \"$service\" AUTHORIZATION \"$service\"" \
    -c "SET ROLE \"$service\"" -c "SET search_path = \"$service\"" "${arguments[@]}"
}

run_psql() {
  psql -X -q -v ON_ERROR_STOP=1 -d "$@"
}

# The admin's URL with another database. The bus names its tables without a schema, so there has to be a search path.
query_database_url() {
  local authority=${admin_url#*://} parameters=''
  [[ $admin_url != *\?* ]] || parameters="&${admin_url#*\?}"
  authority=${authority%%[/?]*}
  echo "postgres://$authority/$QUERY_DATABASE?options=-csearch_path%3D$(services | head -n 1)$parameters"
}
