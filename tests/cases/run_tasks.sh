#!/usr/bin/env bash
# Tasks that behave badly, and what becomes of the run: output without end, outputs that are no files, deadlines, retries,
# an interrupt while a source is slow; and what the catalog then says.
. "$(dirname "$0")/lib.sh"
need_root
p=$work/p
mkdir -p "$p/data/x"

# make SPEC: Python that fills `tasks`, `templates`, `spec` with sh(name, script, **more); config in $p/pipeahead.yaml.
make() {
	cat >"$p/pipeahead.yaml" <<-YAML
		sources:
		  - {claim: series, at: "file://./data", access: write, latency: ${latency:-0ms}}
		memory: {node: 64MiB}
		slots: 2
	YAML
	python3 - "$p/pipeline.yaml" "$1" <<-'PYTHON'
		import json, sys
		tasks, templates, spec = [], [], {}
		def sh(name, script, after=(), takes=None, mounts=(), task={}, **more):
		    container = {"image": "alpine", "command": ["sh", "-c", script],
		                 "volumeMounts": [dict(name="series", **mount) for mount in mounts]}
		    if mounts:
		        more["volumes"] = [{"name": "series", "persistentVolumeClaim": {"claimName": "series"}}]
		    call = {"name": name, "template": name, "dependencies": list(after), **task}
		    if takes:
		        call["arguments"] = {"artifacts": [
		            {"name": "in", "from": "{{tasks.%s.outputs.artifacts.out}}" % after[0]}]}
		        more["inputs"] = {"artifacts": [{"name": "in", "path": takes}]}
		    tasks.append(call)
		    templates.append({"name": name, "container": container, **more})
		def out(path):
		    return {"artifacts": [{"name": "out", "path": path}]}
		exec(sys.argv[2])
		templates.append({"name": "main", "dag": {"tasks": tasks}})
		json.dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
		           "metadata": {"generateName": "tasks-", "annotations": {
		               "pipelines.kubeflow.org/pipeline_spec": "{\"name\": \"tasks\"}"}},
		           "spec": {"entrypoint": "main", "templates": templates, **spec}}, open(sys.argv[1], "w"))
	PYTHON
}

# expect NAME EXIT PATTERN OPTION...: runs it, looks at the exit code and for the pattern in what it says.
expect() {
	local name=$1 code=$2 pattern=$3 status
	shift 3
	timeout -k 5 30 "$PIPEAHEAD" run "$p/pipeline.yaml" "$@" >"$work/out" 2>"$work/err"
	status=$?
	[ $status -eq "$code" ] || fail "$name: exit code $status: $(tail -n 3 "$work/out" "$work/err")"
	grep -qE "$pattern" "$work/out" "$work/err" || fail "$name: $(tail -n 20 "$work/out" "$work/err")"
	[ -z "$(leftovers)" ] || fail "$name left: $(leftovers)"
	ok "$name"
}
query() { "$PIPEAHEAD" catalog query "$1" --format json | tr -d '\n'; }

make 'sh("a", "yes", activeDeadlineSeconds=1); sh("b", "sleep 1; echo b is heard")'
expect "output without end" 1 'killed: its activeDeadlineSeconds'
grep -q 'b is heard' "$work/out" || fail "output without end drowns other tasks"

make 'sh("a", "head -c 300000 /dev/zero | tr \"\\\\0\" x"); sh("b", "echo {{tasks.a.outputs.result}}")
templates[1]["container"]["command"][2] = "echo {{inputs.parameters.x}}"
templates[1]["inputs"] = {"parameters": [{"name": "x"}]}
tasks[1].update(dependencies=["a"], arguments={"parameters": [{"name": "x", "value": "{{tasks.a.outputs.result}}"}]})'
expect "a result over the limit" 1 'outputs.result, is larger than 256 KiB'

make 'sh("a", "mkdir -p /d; mkfifo /d/x", outputs=out("/d/x")); sh("b", "true", after=["a"], takes="/tmp/in")'
expect "a pipe as output" 1 'a could not be run: .*neither a file nor a folder'
make 'sh("a", "mkfifo /mnt/x", mounts=[{"mountPath": "/mnt"}], outputs=out("/mnt/x"))
templates[0]["volumes"] = [{"name": "series", "emptyDir": {}}]'
expect "a pipe in a volume as output" 1 'neither a file nor a folder'
make 'sh("a", "mkdir /tmp/x && mkfifo /tmp/x/f && echo k >/tmp/x/k && python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind(\\\"/tmp/x/s\\\")\"",
   outputs=out("/tmp/x")); sh("b", "echo has $(ls /tmp/in)", after=["a"], takes="/tmp/in")'
expect "a folder with a pipe and a socket" 0 'has k$'
make 'sh("a", "echo content >/tmp/x", outputs=out("/tmp/x"))
sh("b", "true", after=["a"], takes="/tmp/x", outputs=out("/tmp/x")); sh("c", "echo sees $(cat /tmp/y)", after=["b"], takes="/tmp/y")'
expect "an input handed on as an output" 0 'sees content'
make 'sh("a", "cd /tmp; python3 -c \"import os\nfor i in range(2000): os.mkdir(\\\"dddddddd\\\"); os.chdir(\\\"dddddddd\\\")\"")'
expect "folders deeper than any path" 0 'succeeded'

mounts='mounts=[{"mountPath": "/a", "subPath": "x"}, {"mountPath": "/b"}]'
make "sh('a', 'echo one >/a/file; cat /b/x/file; echo two >/b/x/file; echo reads \$(cat /a/file)', $mounts)"
expect "two mounts of one claim" 0 'reads two' --compare
query "select location from source join manifest on data_set = match and match = 'claim:series'" | grep -q "file://$p/data" ||
	fail "the source is not in the catalog: $(query 'select * from source') $(query 'select * from manifest')"
[ "$(grep -c 'reads two' "$work/out")" -eq 3 ] || fail "two mounts: one mount does not see the other: $(cat "$work/out")"

rm -f "$PIPEAHEAD_CATALOG"*
make 'sh("a", "echo no list"); sh("b", "true", after=["a"], task={"withParam": "{{tasks.a.outputs.result}}"})
sh("c", "sleep 1; echo c ends")
templates.append({"name": "bye", "container": {"image": "alpine", "command": ["echo", "exit handler"]}}); spec["onExit"] = "bye"'
expect "a list that is none" 1 'items are not a JSON list'
grep -q 'c ends' "$work/out" && grep -q 'exit handler' "$work/out" || fail "a list that is none: $(cat "$work/out")"
query 'select outcome from run' | grep -q failed || fail "a failed run is not in the catalog"

# An attempt that were counted as a stall would be one of three seconds.
make 'sh("a", "sleep 3; exit 1", retryStrategy={"limit": "1"})'
expect "a retry" 1 'a failed|a\(1\) failed' --format json
python3 -c 'import json, sys; run = json.load(open(sys.argv[1])); assert run["stall_s"] < 3, run' "$work/out" ||
	fail "a retry is no stall"

make 'sh("a", "sleep 1", task={"withSequence": {"count": "30"}}); spec["activeDeadlineSeconds"] = 2
templates.append({"name": "bye", "container": {"image": "alpine", "command": ["sh", "-c", "sleep 1; echo exit handler ends"]}})
spec["onExit"] = "bye"'
expect "the deadline of a workflow" 1 "the workflow's activeDeadlineSeconds have passed"
grep -q 'exit handler ends' "$work/out" || fail "the deadline of a workflow ends its exit handler"
[ "$(grep -c 'a.*: started' "$work/out")" -lt 8 ] || fail "tasks are started after the deadline"

rm -f "$PIPEAHEAD_CATALOG"*
make 'sh("a", "sleep 0.4", task={"withSequence": {"count": "6"}})'
expect "a loop" 0 succeeded
[ "$(query 'select count(*) n from task_run where duration between 0.3 and 0.9')" = '[{"n": 6}]' ] ||
	fail "a loop's items in the catalog: $(query 'select * from task_run')"
query 'select count(*) n from task where predicted_start is not null and predicted_end is not null' | grep -q '"n": 1' ||
	fail "predictions are not in the catalog"
expect "a loop again" 0 succeeded --format json
python3 - "$work/out" <<-'PYTHON' || fail "a loop's prediction: $(cat "$work/out")"
	import json, sys
	run = json.load(open(sys.argv[1]))
	assert run["tasks"][0]["predicted_end_s"] < 3 * run["makespan_s"], run
PYTHON

rm -f "$PIPEAHEAD_CATALOG"*
latency=5s
mkdir -p "$p/data/d/e/f"
make 'sh("a", "ls /mnt", mounts=[{"mountPath": "/mnt"}])'
"$PIPEAHEAD" run "$p/pipeline.yaml" >"$work/out" 2>"$work/err" &
pid=$!
sleep 1
kill -HUP $pid
begin=$SECONDS
wait $pid
status=$?
[ $status -eq 1 ] && [ $((SECONDS - begin)) -le 2 ] || fail "a signal in a listing: exit code $status after $((SECONDS - begin)) s"
query 'select outcome from run' | grep -q interrupted || fail "a signal in a listing: not in the catalog"
[ -z "$(leftovers)" ] || fail "a signal in a listing left: $(leftovers)"
ok "a signal while a source is listed"

# An interrupt in the last run of a comparison.
latency=0ms
make 'sh("a", "sleep 1")'
"$PIPEAHEAD" run "$p/pipeline.yaml" --compare >"$work/out" 2>"$work/err" &
pid=$!
until grep -q 'all data local' "$work/out"; do sleep 0.05; done
sleep 0.3
kill -INT $pid
wait $pid
[ $? -eq 1 ] && grep -q 'was stopped' "$work/err" || fail "a signal in a comparison: $(cat "$work/out" "$work/err")"
ok "a signal in the last run of a comparison"
