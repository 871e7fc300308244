#!/usr/bin/env bash
# A failing task, Ctrl-C, a full disk, a source that goes away, a killed task: a message, exit code 1, nothing left.
. "$(dirname "$0")/lib.sh"
need_root
p=$work/p
make_pipeline "$p" 8388608 400 40MB/s

expect_clean() {
	local left
	left=$(leftovers)
	[ -z "$left" ] || fail "$1 left: $left"
	catalog_is_whole || fail "$1: catalog"
	ok "$1: nothing left, catalog whole"
}

sed "s/import hashlib, os, sys/import hashlib, os, sys; 'raw' in sys.argv[1] and sys.exit('deliberate')/" \
	"$p/pipeline.yaml" >"$p/failing.yaml"
"$PIPEAHEAD" run "$p/failing.yaml" >"$work/out" 2>"$work/err"
[ $? -eq 1 ] || fail "a failing task: exit code"
grep -q 'prepare' "$work/err" || fail "a failing task: message: $(cat "$work/err")"
expect_clean "a failing task"

"$PIPEAHEAD" run "$p/pipeline.yaml" >"$work/out" 2>"$work/err" &
pid=$!
sleep 1
kill -INT $pid
wait $pid
[ $? -eq 1 ] || fail "Ctrl-C: exit code"
grep -q 'interrupted' "$work/err" || fail "Ctrl-C: message: $(cat "$work/err")"
expect_clean "Ctrl-C"
"$PIPEAHEAD" catalog query "select outcome from run where outcome = 'interrupted'" --format json | grep -q interrupted ||
	fail "Ctrl-C: the run is not in the catalog"

# The source goes away while it is being read.
"$PIPEAHEAD" run "$p/pipeline.yaml" --memory 2MiB >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 200); do
	grep -qh ': started' "$work/out" "$work/err" && break
	sleep 0.05
done
mv "$p/data" "$p/gone"
wait $pid
status=$?
mv "$p/gone" "$p/data"
[ $status -le 1 ] || fail "source gone: exit code $status"
expect_clean "a source that goes away"

# A disk too small for what the tasks write.
mkdir "$work/small"
mount -t tmpfs -o size=6M tmpfs "$work/small"
sed "s/import hashlib, os, sys/import hashlib, os, sys; open('\/big', 'wb').write(b'0' * (64 << 20))/" \
	"$p/pipeline.yaml" >"$p/writing.yaml"
PIPEAHEAD_SCRATCH=$work/small/scratch "$PIPEAHEAD" run "$p/writing.yaml" >"$work/out" 2>"$work/err"
status=$?
left=$(find "$work/small/scratch" -name 'run-*')
umount "$work/small"
[ $status -eq 1 ] || fail "full disk: exit code $status"
grep -qi 'no space' "$work/out" "$work/err" || fail "full disk: message: $(cat "$work/err")"
[ -z "$left" ] || fail "full disk left $left"
expect_clean "a full disk"
