#!/usr/bin/env bash
# kill -9 of `pipeahead run`, fifty times, spread over the time of a run: after the next command no mount, no child and no
# scratch folder is left, the catalog opens, and the sources' files are whole.
. "$(dirname "$0")/lib.sh"
need_root
p=$work/p
make_pipeline "$p" 4194304 6 40MB/s
sums() { (cd "$p/data" && find raw history unseen -type f | sort | xargs sha256sum); }
before=$(sums)
# The shortest of three: machines are noisy, and a kill must come before the end.
whole_ms=1000000
for _ in 1 2 3; do
	begin=$(date +%s%N)
	"$PIPEAHEAD" run "$p/pipeline.yaml" >"$work/out" 2>&1 || fail "a run that nobody kills: $(cat "$work/out")"
	took_ms=$((($(date +%s%N) - begin) / 1000000))
	[ $took_ms -lt $whole_ms ] && whole_ms=$took_ms
done
expected=$(cat "$p/data/result.txt")
kills=${KILLS:-50} finished=0
for i in $(seq "$kills"); do
	rm -f "$p/data/result.txt"
	"$PIPEAHEAD" run "$p/pipeline.yaml" >"$work/out" 2>&1 &
	pid=$!
	sleep "$(awk -v i="$i" -v n="$kills" -v ms="$whole_ms" 'BEGIN {printf "%.3f", ms / 1000 * i / n * 0.98}')"
	kill -9 $pid 2>/dev/null || finished=$((finished + 1))
	wait $pid 2>/dev/null
	# The next command, whatever it is.
	catalog_is_whole || fail "kill $i: catalog"
	for _ in $(seq 50); do
		left=$(leftovers)
		[ -z "$left" ] && break
		sleep 0.1
	done
	[ -z "$left" ] || fail "kill $i left: $left"
	[ "$(sums)" = "$before" ] || fail "kill $i: the sources' files have changed"
	[ ! -s "$p/data/result.txt" ] || [ "$(cat "$p/data/result.txt")" = "$expected" ] || fail "kill $i: a wrong result"
done
"$PIPEAHEAD" run "$p/pipeline.yaml" >"$work/out" 2>&1 || fail "the run after all that: $(cat "$work/out")"
[ "$(cat "$p/data/result.txt")" = "$expected" ] || fail "another result after all that"
[ $finished -lt $((kills / 4)) ] || fail "$finished of $kills had ended before their kill"
ok "$kills kills over $whole_ms ms"
