#!/usr/bin/env bash
# A quota smaller than the data still gives a correct run, and what no later task reads leaves memory.
. "$(dirname "$0")/lib.sh"
need_root
make_pipeline "$work/p" 8388608 5 400MB/s
"$PIPEAHEAD" run "$work/p/pipeline.yaml" --format json --quiet >"$work/roomy.json" || fail "roomy run"
cp "$work/p/data/result.txt" "$work/expected"
for memory in 1MiB 3MiB 9MiB; do
	rm "$work/p/data/result.txt"
	"$PIPEAHEAD" run "$work/p/pipeline.yaml" --format json --quiet --memory $memory >"$work/small.json" ||
		fail "run with $memory"
	cmp "$work/expected" "$work/p/data/result.txt" || fail "another result with $memory"
	python3 - "$work/small.json" <<-'PYTHON' || fail "quota of $memory"
		import json, sys
		report = json.load(open(sys.argv[1]))
		assert report["peak_memory_bytes"] <= report["memory_limit_bytes"], report
	PYTHON
	ok "correct with $memory, never more than that"
done
python3 - "$work/roomy.json" <<-'PYTHON' || fail "bytes"
	import json, sys
	report = json.load(open(sys.argv[1]))
	assert report["evicted_bytes"] >= 16 << 20, report["evicted_bytes"]
	assert report["fetched_bytes"] <= 3 * (8 << 20) + 4096, report["fetched_bytes"]
PYTHON
ok "each byte fetched once, and let go after its last reader"
