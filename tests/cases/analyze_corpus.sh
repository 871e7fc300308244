#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real pipelines: what `analyze` says of them against what a person read in them (analyze_corpus.expected.json), a
# second computation of tasks, order, edges, claims and loops for every file of the corpus.
#
# PIPEAHEAD: the binary.  PA_CORPUS: the corpus.  Skipped (77) where one is missing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${PIPEAHEAD:=}" "${PA_CORPUS:=}"
if [ ! -x "$PIPEAHEAD" ] || [ ! -d "$PA_CORPUS/argo-kfp-v1" ] || ! command -v python3 >/dev/null; then
	echo "skipped: PIPEAHEAD, PA_CORPUS or python3 is missing"
	exit 77
fi
failed=0

python3 - "$PIPEAHEAD" "$PA_CORPUS/argo-kfp-v1" "$here/analyze_corpus.expected.json" <<'PYTHON' || failed=1
import json, subprocess, sys

program, corpus, expected = sys.argv[1:]
problems = 0


def check(where, mine, got):
    global problems
    if mine != got:
        problems += 1
        print("%s:\n  expected %s\n  got      %s" % (where, json.dumps(mine), json.dumps(got)))


files = json.load(open(expected))
for entry in files:
    path = corpus + "/" + entry["file"]
    run = subprocess.run([program, "analyze", path, "--format", "json"], capture_output=True, text=True)
    if run.returncode != 0:
        check(entry["file"], 0, run.returncode)
        continue
    pipeline = json.loads(run.stdout)["pipelines"][0]
    for key, value in entry.get("pipeline", {}).items():
        check("%s: %s" % (entry["file"], key), value, pipeline[key])
    check("%s: tasks" % entry["file"], list(entry["tasks"]), [t["id"] for t in pipeline["tasks"]])
    for task in pipeline["tasks"]:
        for key, value in entry["tasks"].get(task["id"], {}).items():
            if key == "from":
                inputs = {i["name"]: i["from"] for i in task["inputs"]}
                got = {name: inputs.get(name) for name in value}
            elif key == "mounts":
                got = [[m["path"], m["claim"], m["created_by"], m["kind"]] for m in task["mounts"]]
            elif key == "outputs":
                got = [[o["name"], o["kind"], o["path"]] for o in task["outputs"]]
            else:
                got = task[key]
            check("%s: %s: %s" % (entry["file"], task["id"], key), value, got)
    data = {d["id"]: d for d in pipeline["data"]}
    for name, facts in entry.get("data", {}).items():
        for key, value in facts.items():
            check("%s: %s: %s" % (entry["file"], name, key), value, data.get(name, {}).get(key))
    if "unresolved" in entry:
        check("%s: unresolved" % entry["file"], entry["unresolved"], len(pipeline["unresolved"]))
print("%d files read by hand, %d differences" % (len(files), problems))
sys.exit(1 if problems else 0)
PYTHON

python3 "$here/analyze_cross_check.py" "$PIPEAHEAD" "$PA_CORPUS" "$here/analyze_known_differences.tsv"
case $? in
0 | 77) ;;
*) failed=1 ;;
esac

exit $failed
