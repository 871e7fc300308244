#!/usr/bin/env bash
# What every command keeps to: help, exit codes, formats; and the paper's own output for the paper's own pipeline.
. "$(dirname "$0")/lib.sh"
example=$top/examples/jsm-conv/pipeline.yaml
for command in "" analyze plan run catalog; do
	# shellcheck disable=SC2086
	"$PIPEAHEAD" $command --help >"$work/out" 2>"$work/err" || fail "$command --help"
	grep -q 'usage: ' "$work/out" && grep -q 'example' "$work/out" || fail "$command --help: $(cat "$work/out")"
	[ -z "$command" ] && continue
	"$PIPEAHEAD" $command --no-such-option >"$work/out" 2>&1
	[ $? -eq 2 ] || fail "$command --no-such-option: exit code"
done
"$PIPEAHEAD" --version | grep -E '^pipeahead [0-9]' >/dev/null || fail "--version"
"$PIPEAHEAD" nonsense 2>/dev/null
[ $? -eq 2 ] || fail "an unknown command"
"$PIPEAHEAD" analyze 2>/dev/null
[ $? -eq 2 ] || fail "analyze without a file"
"$PIPEAHEAD" run --slots 0 "$example" 2>/dev/null
[ $? -eq 2 ] || fail "no slots"
ok "help and usage"

mount=/home/dblab/nfs/kubeflow-user-example-com-jsm-conv-pvc-cf15ffb3-21b7-4978-93b3-5a58cd2a67f3
cat >"$work/paper" <<TEXT
pipeline_name = jsm-conv-pipeline-

component_name = preprocess
data_path = $mount/
data_outps = {preprocess-total_x $mount/total_x.npy}

data_outps = {preprocess-total_y $mount/total_y.npy}

component_name = test
data_path = $mount/
data_inputs = {preprocess-total_x /tmp/inputs/input-0/data}

data_inputs = {preprocess-total_y /tmp/inputs/input-1/data}

data_inputs = {train-model /tmp/inputs/input-2/data}

component_name = train
data_path = $mount/
data_inputs = {preprocess-total_x /tmp/inputs/input-0/data}

data_inputs = {preprocess-total_y /tmp/inputs/input-1/data}
data_outps = {train-model $mount/model.npz}
TEXT
"$PIPEAHEAD" analyze --format paper "$example" | diff "$work/paper" - || fail "the paper's form"
ok "the paper's form"

"$PIPEAHEAD" analyze --format json "$example" >"$work/json" || fail "json"
"$PIPEAHEAD" analyze "$example" | cmp - "$work/json" || fail "json is the default where no terminal is"
python3 - "$work/json" <<-'PYTHON' || fail "json: $(cat "$work/json")"
	import json, sys
	document = json.load(open(sys.argv[1]))
	assert document["schema"] == "pipeahead/analysis/v1"
	pipeline = document["pipelines"][0]
	tasks = {task["id"]: task for task in pipeline["tasks"]}
	assert pipeline["format"] == "argo-kfp-v1" and pipeline["sdk_version"] == "1.8.10"
	assert {name: task["after"] for name, task in tasks.items()} == {
	    "preprocess": [], "train": ["preprocess"], "test": ["preprocess", "train"]}
	origins = {(i["name"], i["path"], i["from"]["task"], i["from"]["output"]) for i in tasks["test"]["inputs"]}
	assert origins == {
	    ("preprocess-total_x", "/tmp/inputs/input-0/data", "preprocess", "preprocess-total_x"),
	    ("preprocess-total_y", "/tmp/inputs/input-1/data", "preprocess", "preprocess-total_y"),
	    ("train-model", "/tmp/inputs/input-2/data", "train", "train-model")}, origins
	for task in tasks.values():
	    assert [mount["claim"] for mount in task["mounts"]] == ["jsm-conv"]
	assert pipeline["data"][0]["id"] == "claim:jsm-conv" and pipeline["data"][0]["scratch"] is False
PYTHON
"$PIPEAHEAD" analyze --format dot "$example" | grep 'n0 -> n2' >/dev/null || fail "dot"
"$PIPEAHEAD" analyze --format mermaid "$example" | grep 'n0 ==> n2' >/dev/null || fail "mermaid"
"$PIPEAHEAD" analyze --format table "$example" | grep 'claim:jsm-conv' >/dev/null || fail "table"
"$PIPEAHEAD" analyze - <"$example" | grep '<stdin>' >/dev/null || fail "standard input"
"$PIPEAHEAD" analyze "$example" >/dev/full 2>/dev/null
[ $? -eq 1 ] || fail "a full standard output"
ok "formats"

mkdir -p "$work/folder/deep"
cat >"$work/folder/workflow.yaml" <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: together-}
spec:
  entrypoint: main
  arguments: {parameters: [{name: from}, {name: list, value: '[]'}]}
  templates:
  - name: main
    dag:
      tasks:
      - {name: fetch, templateRef: {name: library, template: fetch}}
      - {name: work, template: work, dependencies: [fetch], withParam: '{{workflow.parameters.list}}'}
  - {name: work, container: {image: busybox}}
YAML
cat >"$work/folder/deep/library.yml" <<YAML
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: library}
spec:
  templates: [{name: fetch, container: {image: busybox, args: ['{{workflow.parameters.from}}']}}]
YAML
echo '{"kind": "Secret"}' >"$work/folder/deep/secret.json"
printf 'no: [yaml' >"$work/folder/deep/values.yaml"
printf '{"from": "s3://bucket/x", "list": [1, 2, {"a": null}]}' >"$work/arguments.json"
together=$work/folder/workflow.yaml
"$PIPEAHEAD" analyze "$together" --strict --no-catalog >/dev/null 2>"$work/err"
[ $? -eq 3 ] || fail "--strict with a template missing"
grep -q 'could not be resolved' "$work/err" || fail "--strict: $(cat "$work/err")"
"$PIPEAHEAD" analyze "$together" --no-catalog >/dev/null || fail "a missing template is no failure"
"$PIPEAHEAD" analyze "$work/folder" --args-file "$work/arguments.json" --no-catalog >"$work/json" 2>"$work/err" ||
	fail "a folder: $(cat "$work/err")"
[ ! -s "$work/err" ] || fail "a folder with other files: $(cat "$work/err")"
python3 - "$work/json" <<-'PYTHON' || fail "a folder: $(head -c 2000 "$work/json")"
	import json, sys
	library, together = json.load(open(sys.argv[1]))["pipelines"]
	assert library["name"] == "library" and together["name"] == "together-"
	fetch, work = together["tasks"]
	assert fetch["kind"] == "container" and fetch["data"] == [{"uri": "s3://bucket/x", "confidence": "argument"}]
	assert work["after"] == ["fetch"] and work["loop"]["items"] == 3
	assert together["parameters"][1]["value"] == '[1,2,{"a":null}]', together["parameters"]
PYTHON
"$PIPEAHEAD" analyze "$work/folder" --args-file "$work/arguments.json" --arg from=gs://mine/y --no-catalog |
	grep 'gs://mine/y' >/dev/null || fail "--arg before --args-file"
"$PIPEAHEAD" analyze "$together" --arg nobody=1 --no-catalog >"$work/out" 2>"$work/err"
[ $? -eq 3 ] && [ ! -s "$work/out" ] && grep -q "no parameter 'nobody'" "$work/err" || fail "an argument of nobody"
"$PIPEAHEAD" analyze "$together" --args-file <(echo '[1]') --no-catalog 2>"$work/err"
[ $? -eq 3 ] && grep -q ':1:1: the arguments are no map' "$work/err" || fail "arguments that are no map"
"$PIPEAHEAD" analyze "$work/folder/deep/secret.json" --no-catalog 2>/dev/null
[ $? -eq 3 ] || fail "a named file without a pipeline"
"$PIPEAHEAD" analyze "$together" --explain work --no-catalog |
	grep "dependencies of 'work' on 'fetch'  (.*yaml:12:53)" >/dev/null || fail "--explain"
"$PIPEAHEAD" analyze "$together" --explain wrok --no-catalog 2>"$work/err"
[ $? -eq 3 ] && grep -q 'near ones are work' "$work/err" || fail "--explain of no task: $(cat "$work/err")"
"$PIPEAHEAD" analyze "$together" "$work/folder" "$together" --format json --strict --no-catalog >"$work/once" ||
	fail "a file that is named and in a folder"
"$PIPEAHEAD" analyze "$work/folder" --format json --no-catalog >"$work/json"
cmp <(grep -c '"format"' "$work/once") <(grep -c '"format"' "$work/json") || fail "a file is read once"
ok "several files, folders, arguments, --strict, --explain"

"$PIPEAHEAD" catalog query "select name from task order by name" --format json | python3 -c '
import json, sys
assert [row["name"] for row in json.load(sys.stdin)] == ["preprocess", "test", "train"]' || fail "catalog"
"$PIPEAHEAD" catalog query "delete from task" 2>/dev/null
[ $? -eq 3 ] || fail "a query that writes"
for table in pipeline task directory data task_has_directory data_has_task run task_run access_profile source manifest; do
	"$PIPEAHEAD" catalog schema | grep -E "CREATE TABLE $table " >/dev/null || fail "no table $table"
done
"$PIPEAHEAD" catalog export | python3 -m json.tool >/dev/null || fail "export"
printf 'not a database, but long enough to be taken for one by its length alone' >"$work/garbage.db"
"$PIPEAHEAD" catalog query "select 1" --catalog "$work/garbage.db" >/dev/null 2>"$work/err"
[ $? -eq 3 ] || fail "a file that is no catalog: $(cat "$work/err")"
ok "catalog"
