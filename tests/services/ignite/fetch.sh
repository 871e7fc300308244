#!/usr/bin/env bash
# Fetches Ignite (once a version) and compiles the Java of this folder; prints the class path.
# Exit 77 when it cannot be had here (no JDK, no Maven, no network): the tests that need it are skipped then.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=2.18.0
cache=${PA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pipeahead/ignite-$version}
command -v javac >/dev/null || { echo "needs a JDK: tools/setup.sh test" >&2; exit 77; }
command -v mvn >/dev/null || { echo "needs Maven: tools/setup.sh test" >&2; exit 77; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -f "$cache/lib/complete" ]; then
	rm -rf "$cache/lib"
	if ! mvn -q -B -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DoutputDirectory="$cache/lib" -DincludeScope=runtime >"$cache/fetch.log" 2>&1; then
		echo "Ignite $version cannot be fetched with Maven: $(tail -n 1 "$cache/fetch.log")" >&2
		exit 77
	fi
	touch "$cache/lib/complete"
fi
sum=$(cat "$here"/src/*.java | sha256sum | cut -c1-16)
if [ ! -f "$cache/classes-$sum/complete" ]; then
	rm -rf "$cache"/classes-*
	mkdir -p "$cache/classes-$sum"
	javac -nowarn -cp "$cache/lib/*" -d "$cache/classes-$sum" "$here"/src/*.java >&2
	touch "$cache/classes-$sum/complete"
fi
echo "$cache/classes-$sum:$cache/lib/*"
