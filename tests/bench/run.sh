#!/usr/bin/env bash
# All benchmarks: a table on standard output, everything as JSON in build/bench.json.
# usage: tests/bench/run.sh BUILD [RUNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 runs=${2:-3}
out=$build/bench.json
ninja -C "$build" --quiet tests/bench/mount_bench tests/bench/plan_bench
echo "== the byte path (docs/mount.md)"
"$build/tests/bench/mount_bench" >"$build/bench-mount.json"
python3 tests/bench/show.py "$build/bench-mount.json"
echo "== the plan (docs/planning.md)"
"$build/tests/bench/plan_bench" >"$build/bench-plan.json"
python3 tests/bench/show.py "$build/bench-plan.json"
echo "== the demo and synthetic pipelines (docs/performance.md)"
examples/jsm-conv/generate.py
python3 tests/bench/pipelines.py "$build/pipeahead" "$runs" "$build/bench-pipelines.json"
python3 - "$build" <<'PYTHON' >"$out"
import json, sys
print(json.dumps({name: json.load(open(f"{sys.argv[1]}/bench-{name}.json")) for name in ("mount", "plan", "pipelines")},
                 indent=1))
PYTHON
echo "all figures: $out"
