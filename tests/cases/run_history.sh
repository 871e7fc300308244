#!/usr/bin/env bash
# A second run predicts its starts from the first one's history, and both errors are printed.
. "$(dirname "$0")/lib.sh"
need_root
p=$work/p
make_pipeline "$p" 4194304 150 400MB/s
"$PIPEAHEAD" run "$p/pipeline.yaml" --quiet --format json >"$work/first.json" || fail "first run"
"$PIPEAHEAD" run "$p/pipeline.yaml" --quiet --format json >"$work/second.json" || fail "second run"
"$PIPEAHEAD" run "$p/pipeline.yaml" --quiet >"$work/third" || fail "third run"
grep -q 'predicted starts were off by .*; in the run before, by' "$work/third" || fail "errors: $(cat "$work/third")"
python3 - "$work/first.json" "$work/second.json" <<-'PYTHON' || fail "prediction"
	import json, sys
	first, second = (json.load(open(name)) for name in sys.argv[1:3])
	real = {task["id"]: task["start_s"] for task in first["tasks"]}
	span = first["makespan_s"]
	for task in second["tasks"]:
	    # From the history of one run: near what that run did, whatever this one then does.
	    assert abs(task["predicted_start_s"] - real[task["id"]]) < 0.35 * span, (task, real)
	assert second["previous_start_error"] is not None and second["start_error"] is not None
PYTHON
ok "predicted from the first run"
"$PIPEAHEAD" plan "$p/pipeline.yaml" --format json >"$work/plan.json" || fail "plan"
python3 - "$work/plan.json" <<-'PYTHON' || fail "profile"
	import json, sys
	plan = json.load(open(sys.argv[1]))
	loaded = {}
	for action in plan["actions"]:
	    if action["action"] == "load":
	        loaded.setdefault(action["task"], set()).add(action["path"].split("/")[0])
	assert loaded == {"prepare": {"raw"}, "train": {"history"}, "test": {"unseen"}}, loaded
PYTHON
ok "each task's loads are what it read last time"
