#!/usr/bin/env bash
# All benchmarks: a table on standard output, everything as JSON in build/bench.json.
# usage: tests/bench/run.sh BUILD [RUNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "$1") runs=${2:-3}
out=$build/bench.json
ninja -C "$build" --quiet tests/bench/mount_bench tests/bench/plan_bench tests/bench/simulate_bench tests/bench/analyze_bench
export PA_CORPUS=${PA_CORPUS:-$PWD/../shared/corpus}
echo "== the analyzer (docs/performance.md)"
analyze=analyze-growth
if [ -d "$PA_CORPUS" ]; then
	(cd tests/bench/paper_parser && go build -o "$build/paper_parser" .)
	python3 tests/bench/analyze.py "$build/tests/bench/analyze_bench" "$build/paper_parser" 9 "$build/bench-analyze.json"
	python3 tests/bench/show.py "$build/bench-analyze.json"
	analyze="analyze analyze-growth"
else
	echo "the corpus is not here (PA_CORPUS): growth only"
fi
python3 tests/bench/analyze_growth.py "$build/pipeahead" "$build/bench-analyze-growth.json"
python3 tests/bench/show.py "$build/bench-analyze-growth.json"
echo "== the byte path (docs/mount.md)"
"$build/tests/bench/mount_bench" >"$build/bench-mount.json"
python3 tests/bench/show.py "$build/bench-mount.json"
echo "== the plan (docs/planning.md)"
"$build/tests/bench/plan_bench" >"$build/bench-plan.json"
python3 tests/bench/show.py "$build/bench-plan.json"
"$build/tests/bench/simulate_bench" >"$build/bench-simulate.json"
python3 tests/bench/show.py "$build/bench-simulate.json"
echo "== the planner against published policies (docs/planning.md)"
tests/bench/simulate.sh "$build"
echo "== the demo and synthetic pipelines (docs/performance.md)"
examples/jsm-conv/generate.py
python3 tests/bench/pipelines.py "$build/pipeahead" "$runs" "$build/bench-pipelines.json"
# shellcheck disable=SC2086
python3 - "$build" mount plan simulate pipelines $analyze <<'PYTHON' >"$out"
import json, sys
print(json.dumps({name: json.load(open(f"{sys.argv[1]}/bench-{name}.json")) for name in sys.argv[2:]}, indent=1))
PYTHON
echo "all figures: $out"
