# shellcheck shell=bash
# The tools of the checks, each in one pinned version, installed once into the user's cache.
# Sourced by the other scripts, after scripts/servers.sh. Each function prints the path of its program.

# shellcheck source=deploy/local/packages.sh
source "$root/deploy/local/packages.sh"

readonly CARGO_DENY_VERSION=0.20.2
readonly BUF_VERSION=1.75.0
readonly GRPCURL_VERSION=1.9.4

tool_directory() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/booster/tools/$1-$2"
}

# install_tool NAME VERSION INSTALLER: runs the installer with a directory to fill. That directory gets its final name
# only when it is complete. What installers print is progress, and goes to stderr.
install_tool() {
  local name=$1 version=$2 installer=$3 final unfinished
  final=$(tool_directory "$name" "$version")
  [[ ! -d $final ]] || return 0
  progress "$name" "installing $version into $final" >&2
  unfinished=$final.$$
  mkdir -p "$unfinished"
  "$installer" "$unfinished" "$version" >&2 || {
    rm -rf "$unfinished"
    fail "$name $version could not be installed; the messages above say why. Run this again once that is repaired."
  }
  mv -T "$unfinished" "$final" 2>/dev/null || rm -rf "$unfinished"
}

cargo_deny() {
  install_tool cargo-deny "$CARGO_DENY_VERSION" install_cargo_deny
  echo "$(tool_directory cargo-deny "$CARGO_DENY_VERSION")/bin/cargo-deny"
}

# Without optimisation: it compiles in a fraction of the time, and our graph is small enough for it either way.
install_cargo_deny() {
  CARGO_TARGET_DIR=$1/target CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install cargo-deny --version "$2" --locked --debug --quiet --root "$1" && rm -rf "$1/target"
}

buf() {
  command -v npm >/dev/null || install_packages buf npm >&2
  install_tool buf "$BUF_VERSION" install_buf
  echo "$(tool_directory buf "$BUF_VERSION")/node_modules/.bin/buf"
}

install_buf() {
  npm install --prefix "$1" --no-audit --no-fund --loglevel error "@bufbuild/buf@$2"
}

grpcurl() {
  local found
  found=$(tool_directory grpcurl "$GRPCURL_VERSION")/grpcurl
  [[ -x $found ]] || command -v go >/dev/null ||
    fail "grpcurl is built with Go, and there is none. Install Go 1.25 or newer (go.dev/doc/install), then run this again."
  install_tool grpcurl "$GRPCURL_VERSION" install_grpcurl
  echo "$found"
}

install_grpcurl() {
  GOBIN=$1 go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$2"
}
