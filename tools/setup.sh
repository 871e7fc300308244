#!/usr/bin/env bash
# Installs what the named groups need from the distribution, and says so before.  Nothing is done when all of it is there.
# usage: tools/setup.sh build|test|demo|bench|fuzz...
set -euo pipefail

packages_of() {
	case "$1" in
	build) echo gcc libc6-dev meson ninja-build pkg-config libyaml-dev libjansson-dev libxxhash-dev \
		libsqlite3-dev libssl-dev zlib1g-dev linux-libc-dev ;;
	demo) echo python3 python3-numpy python-is-python3 ;;
	test) echo libcmocka-dev python3-yaml util-linux procps sqlite3 openssl iproute2 openjdk-17-jdk-headless \
		maven ;;
	bench) command -v go >/dev/null || echo golang-go ;;
	fuzz) echo clang-14 libclang-rt-14-dev ;;
	*) echo "setup.sh: there is no group \"$1\"; say build, test, demo, bench or fuzz" >&2; exit 2 ;;
	esac
}

missing=()
for group in "$@"; do
	for package in $(packages_of "$group"); do
		if ! dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii'; then
			missing+=("$package")
		fi
	done
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing with apt-get: ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
	echo "setup.sh: this needs root; run: apt-get install ${missing[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
	apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
# Package lists may be missing or old: fetched when the first try fails.
if ! install; then
	if ! { apt-get update >"$log" 2>&1 && install; }; then
		tail -n 20 "$log" >&2
		exit 1
	fi
fi
