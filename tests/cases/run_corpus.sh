#!/usr/bin/env bash
# Every argo-kfp-v1 file of the corpus: whether it runs here or why not is as docs/corpus-runs.tsv says, and what can run
# is run, unchanged, with its own commands.
. "$(dirname "$0")/lib.sh"
need_root
[ -d "$PA_CORPUS/argo-kfp-v1" ] || skip "the corpus is not here"
table=$top/docs/corpus-runs.tsv
ran=0
# A claim that exists before the run: an empty folder.
mkdir "$work/claim"
printf 'sources:\n  - claim: data-volume\n    at: file://./claim\n' >"$work/claim.yaml"
while IFS=$'\t' read -r file verdict arguments reason; do
	[ "$file" = file ] && continue
	path=$PA_CORPUS/argo-kfp-v1/$file
	[ -f "$path" ] || fail "$file is not in the corpus"
	[ "$arguments" = "-" ] && arguments=
	arguments=${arguments/claim:data-volume/$work/claim.yaml}
	# shellcheck disable=SC2086 # several words
	"$PIPEAHEAD" run "$path" $arguments --check >"$work/out" 2>"$work/err"
	status=$?
	if [ "$verdict" = "refused" ]; then
		[ $status -eq 3 ] || fail "$file: exit code $status, not refused"
		grep -qF -- "$reason" "$work/err" || fail "$file: not for \"$reason\": $(cat "$work/err")"
		continue
	fi
	[ $status -eq 0 ] || fail "$file: $(cat "$work/err")"
	[ "$verdict" = network ] && continue
	# shellcheck disable=SC2086
	timeout 100 "$PIPEAHEAD" run "$path" $arguments --format json >"$work/out" 2>"$work/err"
	status=$?
	outcome=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["outcome"])' "$work/out") ||
		fail "$file: no report: $(cat "$work/err")"
	[ "$outcome" = "$verdict" ] || fail "$file: $outcome: $(tail -n 20 "$work/err")"
	if [ "$verdict" = failed ]; then
		grep -qF -- "$reason" "$work/err" || fail "$file: failed, but not for \"$reason\": $(tail -n 20 "$work/err")"
	fi
	ran=$((ran + 1))
done <"$table"
[ "$(grep -c . "$table")" -eq $(($(find "$PA_CORPUS/argo-kfp-v1" -type f | wc -l) + 1)) ] || fail "the table lacks files"
[ -z "$(leftovers)" ] || fail "left: $(leftovers)"
ok "$ran files ran as the table says"
