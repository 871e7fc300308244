#!/usr/bin/env bash
# A read-only data set that is wholly in memory, and whose reads are known, is bound as the tmpfs folder it is; before that
# it is served through the mount. Both ways give the same bytes, and writing to it fails.
. "$(dirname "$0")/lib.sh"
need_root
mkdir -p "$work/p/data/deep/er"
head -c 3000000 /dev/urandom >"$work/p/data/large"
printf 'small' >"$work/p/data/deep/er/small file"
: >"$work/p/data/empty"
ln -s deep/er "$work/p/data/link"
cat >"$work/p/pipeahead.yaml" <<'YAML'
sources: [{claim: set, at: file://./data, access: read, bandwidth: 100MB/s, latency: 1ms}]
memory: {node: 64MiB}
YAML
cat >"$work/p/pipeline.yaml" <<'YAML'
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: bound-, annotations: {pipelines.kubeflow.org/pipeline_spec: '{"name": "bound"}'}}
spec:
  entrypoint: bound
  templates:
  - name: bound
    dag:
      tasks:
      - {name: first, template: first}
      - {name: second, template: second, dependencies: [first]}
  - {name: first, container: {image: alpine, command: [sleep, '1']}}
  - name: second
    container:
      image: debian
      command: [sh, -c]
      args: ['stat -f -c %T /set >/tmp/type; touch /set/new 2>/tmp/touch && exit 9; cd /set && cat large "link/small file" empty | sha256sum >/tmp/sum; find . ! -type d -printf "%y %m %s %T@ %P %l\\n" | sort >/tmp/list']
      volumeMounts: [{name: set, mountPath: /set}]
    volumes: [{name: set, persistentVolumeClaim: {claimName: set}}]
    outputs:
      parameters:
      - {name: type, valueFrom: {path: /tmp/type}}
      - {name: sum, valueFrom: {path: /tmp/sum}}
      - {name: list, valueFrom: {path: /tmp/list}}
      - {name: touch, valueFrom: {path: /tmp/touch}}
    metadata: {}
YAML
# The parameters are shown by a task's own output: printed at the end of the second task.
sed -i "s,sort >/tmp/list,sort >/tmp/list; cat /tmp/type /tmp/sum /tmp/touch /tmp/list," "$work/p/pipeline.yaml"
for run in 1 2; do
	"$PIPEAHEAD" run "$work/p/pipeline.yaml" >"$work/out$run" 2>&1 || fail "run $run: $(cat "$work/out$run")"
	grep 'second |' "$work/out$run" >"$work/said$run"
done
grep -qE '\| fuse' "$work/said1" || fail "first run: $(cat "$work/said1")"
grep -q '| tmpfs' "$work/said2" || fail "second run: $(cat "$work/said2")"
grep -q 'Read-only' "$work/said2" || fail "written to: $(cat "$work/said2")"
diff <(sed 1d "$work/said1") <(sed 1d "$work/said2") || fail "the two ways differ"
grep -q 'f 644 3000000 .* large' "$work/said2" || fail "the list: $(cat "$work/said2")"
ok "fuse first, then tmpfs, the same files"
