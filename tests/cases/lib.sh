# What the case scripts share.  Each runs by itself: PIPEAHEAD names the binary (default: build/pipeahead).
set -uo pipefail
cases=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$cases/../.." && pwd)
PIPEAHEAD=${PIPEAHEAD:-$top/build/pipeahead}
PA_CORPUS=${PA_CORPUS:-$top/../shared/corpus}
work=$(mktemp -d /var/tmp/pipeahead-case.XXXXXX)
trap 'rm -rf "$work"' EXIT
export PIPEAHEAD_CATALOG=$work/catalog.db PIPEAHEAD_SCRATCH=$work/scratch
checks=0

skip() {
	echo "$1"
	exit 77
}

fail() {
	echo "not ok: $*" >&2
	exit 1
}

ok() {
	checks=$((checks + 1))
	echo "ok $checks - $*"
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root for mounts"
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
}

# Makes $1/{pipeline.yaml,pipeahead.yaml,data}: prepare → train → test, each with data of its own in one claim.
# $2: bytes a part, $3: rounds of computing, $4: bandwidth.
make_pipeline() {
	local dir=$1 part_bytes=${2:-8388608} rounds=${3:-20} bandwidth=${4:-40MB/s}
	mkdir -p "$dir/data/raw" "$dir/data/history" "$dir/data/unseen"
	python3 - "$dir/data" "$part_bytes" <<-'PYTHON'
		import random, sys
		folder, size = sys.argv[1], int(sys.argv[2])
		source = random.Random(7)
		for part in ("raw", "history", "unseen"):
		    for i in range(4):
		        with open(f"{folder}/{part}/{i}.bin", "wb") as file:
		            file.write(source.randbytes(size // 4))
	PYTHON
	cat >"$dir/pipeahead.yaml" <<-YAML
		sources:
		  - claim: series
		    at: file://./data
		    bandwidth: $bandwidth
		    connections: 4
		    latency: 2ms
		    access: write
		memory: {node: 256MiB}
		slots: 2
	YAML
	python3 - "$dir/pipeline.yaml" "$rounds" <<-'PYTHON'
		import sys
		code = '''
		import hashlib, os, sys
		part, output, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
		digest = hashlib.sha256()
		for name in sys.argv[4:]:
		    digest.update(open(name, "rb").read())
		for name in sorted(os.listdir(part)):
		    with open(os.path.join(part, name), "rb") as file:
		        while True:
		            block = file.read(1 << 20)
		            if not block:
		                break
		            digest.update(block)
		block = b"x" * (1 << 22)
		for _ in range(rounds):
		    digest.update(block)
		os.makedirs(os.path.dirname(output), exist_ok=True)
		with open(output, "w") as file:
		    file.write(digest.hexdigest())
		'''.replace("\n\t\t", "\n")
		tasks, templates = [], []
		for name, part, after in (("prepare", "raw", []), ("train", "history", ["prepare"]),
		                          ("test", "unseen", ["prepare", "train"])):
		    inputs = [f"{a}-out" for a in after]
		    task = {"name": name, "template": name}
		    if after:
		        task["dependencies"] = after
		        task["arguments"] = {"artifacts": [
		            {"name": f"{a}-out", "from": "{{tasks.%s.outputs.artifacts.%s-out}}" % (a, a)} for a in after]}
		    tasks.append(task)
		    output = "/mnt/series/result.txt" if name == "test" else "/tmp/outputs/out/data"
		    templates.append({
		        "name": name,
		        "container": {"image": "python:3.9", "command": ["python3", "-c", code],
		                      "args": [f"/mnt/series/{part}", output, sys.argv[2]] +
		                              [f"/tmp/inputs/{i}/data" for i in inputs],
		                      "volumeMounts": [{"mountPath": "/mnt/series", "name": "series"}]},
		        "inputs": {"artifacts": [{"name": i, "path": f"/tmp/inputs/{i}/data"} for i in inputs]},
		        "outputs": {"artifacts": [{"name": f"{name}-out", "path": output}]},
		        "volumes": [{"name": "series", "persistentVolumeClaim": {"claimName": "series"}}]})
		templates.append({"name": "three-steps", "dag": {"tasks": tasks}})
		import json
		json.dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
		           "metadata": {"generateName": "three-steps-", "annotations": {
		               "pipelines.kubeflow.org/kfp_sdk_version": "1.8.10",
		               "pipelines.kubeflow.org/pipeline_spec": "{\"name\": \"three steps\"}"}},
		           "spec": {"entrypoint": "three-steps", "templates": templates}}, open(sys.argv[1], "w"), indent=1)
	PYTHON
}

# Mounts, scratch folders and children of ours that are still there; prints them.
leftovers() {
	grep -E 'pipeahead' /proc/self/mountinfo
	find "$PIPEAHEAD_SCRATCH" -mindepth 1 -maxdepth 1 -name 'run-*' 2>/dev/null
	pgrep -f "$work/" -a | grep -vE "^($$|$BASHPID) " | grep -E 'pipeahead|task-init|python3 -c'
}

# The catalog opens and is whole.
catalog_is_whole() {
	"$PIPEAHEAD" catalog query 'select count(*) from run' --format json >/dev/null &&
		[ "$(sqlite3 "$PIPEAHEAD_CATALOG" 'pragma integrity_check')" = ok ]
}
