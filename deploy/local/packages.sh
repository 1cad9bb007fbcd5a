# shellcheck shell=bash
# Installing Debian packages that are missing. Sourced after processes.sh.

# install_packages NAME PACKAGE...: in a shell of its own, whose end takes the policy of below away again.
install_packages() (
  name=$1
  shift
  progress "$name" "installing Debian packages: $*"
  command -v apt-get >/dev/null || fail "this is not Debian. Install by hand what these packages hold: $*"
  become_root_for "apt-get install $*"
  keep_services_stopped
  log=$(mktemp)
  run_apt -o APT::Update::Error-Mode=any update >"$log" 2>&1 || fail_with_log "$log" "apt-get update failed; repair the package sources"
  run_apt install --no-install-recommends "$@" >"$log" 2>&1 || fail_with_log "$log" "apt-get could not install $*"
  rm -f "$log"
)

# Asks nothing, and waits for another apt to end.
run_apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get --yes -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Ends the script, with the command to type, when there is no way to become root without a password.
become_root_for() {
  [[ $EUID == 0 ]] || sudo -n true 2>/dev/null || fail "packages are missing. Type this, then run the script again: sudo $1"
}

as_root() {
  if [[ $EUID == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# Debian starts a server as soon as its package is installed, on its default port. Ours run elsewhere, so while we
# install, the policy says no. A policy that is already there (containers have one) stays as it is.
keep_services_stopped() {
  [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
  trap allow_services EXIT
  printf '#!/bin/sh\n# Made by Booster while it installs packages.\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
  as_root chmod 755 /usr/sbin/policy-rc.d
}

allow_services() {
  if grep -q 'Made by Booster' /usr/sbin/policy-rc.d 2>/dev/null; then
    as_root rm -f /usr/sbin/policy-rc.d
  fi
}
