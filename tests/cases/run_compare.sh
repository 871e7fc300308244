#!/usr/bin/env bash
# --compare runs all three ways, and their outputs are equal; a picture is drawn; JSON has what it promises.
. "$(dirname "$0")/lib.sh"
need_root
p=$work/p
make_pipeline "$p" 4194304 200 40MB/s
"$PIPEAHEAD" run "$p/pipeline.yaml" --compare --format json --timeline "$work/t.svg" >"$work/out.json" 2>"$work/err" ||
	fail "run: $(cat "$work/err")"
python3 - "$work/out.json" "$work/t.svg" <<-'PYTHON' || fail "report: $(cat "$work/out.json")"
	import json, sys, xml.dom.minidom
	report = json.load(open(sys.argv[1]))
	assert report["outputs_equal"] is True and report["outputs"] >= 4, report["outputs"]
	assert report["local_makespan_s"] > 0
	for run in (report, report["without"]):
	    assert set(run) >= {"makespan_s", "stall_s", "tasks"}
	    for task in run["tasks"]:
	        assert set(task) >= {"id", "start_s", "end_s", "predicted_start_s", "predicted_end_s", "read_bytes",
	                             "memory_bytes", "stall_s"}
	tasks = {task["id"]: task for task in report["tasks"]}
	for name in ("prepare", "train", "test"):
	    assert tasks[name]["read_bytes"] >= 4 << 20, tasks[name]
	# Loaded behind the task before: all of it was in memory when it was asked for.
	for name in ("train", "test"):
	    assert tasks[name]["memory_bytes"] == tasks[name]["read_bytes"], tasks[name]
	for task in report["without"]["tasks"]:
	    assert task["stall_s"] > 0.05, task
	xml.dom.minidom.parse(sys.argv[2])
PYTHON
ok "compared"
