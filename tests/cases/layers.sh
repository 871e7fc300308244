#!/usr/bin/env bash
# Each folder of src/ includes only what the table allows (ARCHITECTURE.md), and the pure folders nothing that
# reaches a file, a socket, a clock or a thread.
set -euo pipefail
cd "$(dirname "$0")/../.."
declare -A allowed=(
	[base]=""
	[pipeline]="base"
	[timeline]="pipeline base"
	[forecast]="timeline pipeline base"
	[plan]="forecast timeline pipeline base"
	[simulate]="plan forecast timeline pipeline base"
	[catalog]="forecast pipeline base"
	[store]="base"
	[ignite]="base"
	[config]="store base"
	[cache]="store ignite base"
	[mount]="cache store base"
	[run]="mount cache store catalog plan forecast timeline pipeline config base"
	[cmd]="base pipeline timeline forecast plan simulate catalog store ignite config cache mount run"
)
impure='<(fcntl|unistd|pthread|time|stdio_ext|threads|signal|dirent|poll)\.h>|<sys/(socket|stat|mman|time|types|epoll)\.h>|"base/(clock|log)\.h"'
bad=0
for folder in $(ls src); do
	if [ -z "${allowed[$folder]+known}" ]; then
		echo "src/$folder is in no row of the table"
		bad=1
		continue
	fi
	for other in $(grep -hoE '^#include "[a-z]+/' -r "src/$folder" | sed 's/.*"//; s,/,,' | sort -u); do
		[ "$other" = "$folder" ] && continue
		case " ${allowed[$folder]} " in
		*" $other "*) ;;
		*)
			echo "src/$folder includes $other: $(grep -lE "^#include \"$other/" -r "src/$folder" | tr '\n' ' ')"
			bad=1
			;;
		esac
	done
done
for folder in pipeline timeline forecast plan simulate; do
	if grep -nE "^#include $impure" -r "src/$folder"; then
		echo "src/$folder is pure and must not include these"
		bad=1
	fi
	if grep -nwE '(fopen|open|read|write|socket|getenv|time|clock_gettime|pthread_[a-z_]+|rand|printf|puts)[(]' \
		-r "src/$folder" --include='*.c' | grep -vE '^\S+:\s*(/?\*|//)|"[^"]*\b(open|read|write|time)[(]'; then
		echo "src/$folder is pure and must not call these"
		bad=1
	fi
done
# Private headers stay in their folder.
for header in $(find src -name '*_internal.h'); do
	folder=$(basename "$(dirname "$header")")
	if grep -lE "^#include \"$folder/$(basename "$header")\"" -r src | grep -vE "^src/$folder/"; then
		echo "$header is private to src/$folder"
		bad=1
	fi
done
exit $bad
