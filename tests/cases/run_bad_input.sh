#!/usr/bin/env bash
# Bad input: one clear error with its place, exit code 3, within a second, with bounded memory, and nothing started.
. "$(dirname "$0")/lib.sh"
need_root
make_pipeline "$work/p" 65536 1

# expect NAME PATTERN COMMAND...: exit code 3, one line on standard error that matches, within a second.
expect() {
	local name=$1 pattern=$2 status begin
	shift 2
	begin=$(date +%s%N)
	# 1 GiB of address space is far more than any of these needs.
	(ulimit -v 1500000; "$@") >"$work/out" 2>"$work/err"
	status=$?
	local took_ms=$((($(date +%s%N) - begin) / 1000000))
	[ $status -eq 3 ] || fail "$name: exit code $status: $(head -c 500 "$work/err")"
	grep -qE "$pattern" "$work/err" || fail "$name: message: $(head -c 500 "$work/err")"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$name: more than one line: $(head -c 500 "$work/err")"
	[ ! -s "$work/out" ] || fail "$name: output: $(head -c 200 "$work/out")"
	[ $took_ms -lt 1500 ] || fail "$name: $took_ms ms"
	[ -z "$(leftovers)" ] || fail "$name left: $(leftovers)"
	ok "$name: $(cut -c1-150 "$work/err")"
}

# A pipeline of the smallest kind around the given DAG tasks and templates.
pipeline() {
	cat <<-YAML
		apiVersion: argoproj.io/v1alpha1
		kind: Workflow
		metadata:
		  generateName: bad-
		  annotations: {pipelines.kubeflow.org/pipeline_spec: '{"name": "bad"}'}
		spec:
		  entrypoint: bad
		  templates:
		  - name: bad
		    dag: {tasks: $1}
		  - name: say
		    container: {image: alpine, command: [echo, hello]}
		  ${2:-}
	YAML
}
f=$work/bad.yaml
both() { # NAME PATTERN: by analyze and by run
	expect "analyze: $1" "$2" "$PIPEAHEAD" analyze "$f"
	expect "run: $1" "$2" "$PIPEAHEAD" run "$f"
}

printf 'a: [1, 2\nb: }' >"$f"; both "not YAML" 'bad.yaml:[0-9]+:[0-9]+: '
printf 'just: a file\n' >"$f"; both "not a pipeline" 'bad.yaml'
: >"$f"; both "an empty file" 'bad.yaml'
printf '\xff\xfe\x00\x01 \x80' >"$f"; both "not text" 'bad.yaml'
pipeline '[{name: a, template: say, dependencies: [b]}, {name: b, template: say, dependencies: [a]}]' >"$f"
both "a cycle" 'bad.yaml:[0-9]+:[0-9]+: .*circle.*a.*b'
pipeline '[{name: a, template: absent}]' >"$f"; both "a missing template" 'bad.yaml:[0-9]+:[0-9]+: .*absent'
pipeline '[{name: a, template: say, dependencies: [nobody]}]' >"$f"
both "a dependency on nobody" 'bad.yaml:[0-9]+:[0-9]+: .*nobody'
pipeline '[{name: a, template: take, arguments: {artifacts: [{name: x, from: "{{tasks.nobody.outputs.artifacts.y}}"}]}}]' \
	'- {name: take, inputs: {artifacts: [{name: x, path: /tmp/x}]}, container: {image: alpine, command: [cat, /tmp/x]}}' >"$f"
both "an edge from nobody" 'bad.yaml:[0-9]+:[0-9]+: .*nobody'
pipeline '[{name: a, template: say}, {name: a, template: say}]' >"$f"
both "two tasks of one name" 'bad.yaml:[0-9]+:[0-9]+: '
pipeline '[{name: a, template: out}]' \
	'- {name: out, container: {image: alpine, command: [echo]}, outputs: {artifacts: [{name: x, path: /tmp/../../etc/x}]}}' >"$f"
both "a path with .." 'bad.yaml:[0-9]+:[0-9]+: .*\.\.'
python3 -c 'print("a: " + "[" * 10000 + "]" * 10000)' >"$f"; both "10,000 levels" 'bad.yaml:[0-9]+:[0-9]+: '
python3 -c '
print("a0: &a0 [x, x, x, x, x, x, x, x, x, x]")
for i in range(1, 30): print(f"a{i}: &a{i} [" + ", ".join([f"*a{i-1}"] * 10) + "]")' >"$f"
both "an alias bomb" 'bad.yaml:[0-9]+:[0-9]+: '
head -c 34000000 /dev/zero | tr '\0' '#' >"$f"; both "over the input limit" 'bad.yaml: .*(32|limit)'

expect "a file that is not there" 'nowhere.yaml' "$PIPEAHEAD" run "$work/nowhere.yaml"
expect "another format" 'kfp-v2-ir' "$PIPEAHEAD" run <(printf 'components: {}\nroot: {dag: {tasks: {}}}\ndeploymentSpec: {}\nschemaVersion: 2.1.0\n')

cd "$work/p"
sed 's/claimName": "series/claimName": "elsewhere/' pipeline.yaml >unknown.yaml
expect "an unknown claim" 'elsewhere' "$PIPEAHEAD" run unknown.yaml
config() { sed "$1" pipeahead.yaml >other.yaml; }
config 's,file://./data,file://./nowhere,'
expect "a source that is not there" 'other.yaml:[0-9]+:[0-9]+: .*nowhere' "$PIPEAHEAD" run pipeline.yaml --config other.yaml
config 's/256MiB/0/'
expect "no memory" 'other.yaml:[0-9]+:[0-9]+: ' "$PIPEAHEAD" run pipeline.yaml --config other.yaml
config 's/bandwidth/bandwith/'
expect "an unknown key" 'other.yaml:[0-9]+:[0-9]+: .*bandwith.*bandwidth' "$PIPEAHEAD" run pipeline.yaml --config other.yaml
config 's/40MB/40MX/'
expect "a bad unit" 'other.yaml:[0-9]+:[0-9]+: ' "$PIPEAHEAD" run pipeline.yaml --config other.yaml
expect "no such configuration" 'absent.yaml' "$PIPEAHEAD" run pipeline.yaml --config absent.yaml
sed 's/"python3"/"no-such-command"/' pipeline.yaml >command.yaml
expect "a command that does not exist" 'prepare.*no-such-command' "$PIPEAHEAD" run command.yaml
pipeline '[{name: job, template: job}]' \
	'- {name: job, resource: {action: create, manifest: "{kind: Job, metadata: {name: x}}"}}' >"$f"
expect "a task that cannot run here" 'job' "$PIPEAHEAD" run "$f"
