#!/usr/bin/env bash
# Runs every test and ends with "N passed, N failed, N skipped".
# usage: tests/run.sh BUILD BUILD_ASAN BUILD_TSAN
#   unit tests (tests/unit) plainly, under ASan and UBSan, and, those with threads, under TSan;
#   case scripts (tests/cases): exit 0 passed, 77 skipped (its last line says why), else failed.
set -uo pipefail
cd "$(dirname "$0")/.."
build=$1 build_asan=$2 build_tsan=$3
tsan_tests="cache_ store_ mount_ ignite_"
export PA_CORPUS=${PA_CORPUS:-$PWD/../shared/corpus}
export PA_WFINSTANCES=${PA_WFINSTANCES:-$PWD/../shared/wfinstances}
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
passed=0 failed=0 skipped=0
scratch=$(mktemp -d /var/tmp/pipeahead-test.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

# run NAME SECONDS COMMAND...
run() {
	local name=$1 limit=$2 log="$scratch/log" begin=$SECONDS status
	shift 2
	timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null
	status=$?
	if [ $status -eq 0 ]; then
		passed=$((passed + 1))
		printf 'ok      %-44s %3d s\n' "$name" $((SECONDS - begin))
	elif [ $status -eq 77 ]; then
		skipped=$((skipped + 1))
		printf 'skipped %-44s %s\n' "$name" "$(tail -n 1 "$log")"
	else
		failed=$((failed + 1))
		printf 'FAILED  %-44s exit %d\n' "$name" $status
		tail -n 40 "$log" | sed 's/^/        /'
	fi
}

build_with() { # DIR MESON_OPTIONS...
	local dir=$1
	shift
	[ -f "$dir/build.ninja" ] || meson setup "$@" "$dir" >"$scratch/setup" 2>&1 || { cat "$scratch/setup"; return 1; }
	ninja -C "$dir" --quiet >"$scratch/ninja" 2>&1 || { tail -n 40 "$scratch/ninja"; return 1; }
}

meson configure "$build" -Dwerror=true >/dev/null 2>&1
run "build, warnings are errors" 900 ninja -C "$build" --quiet
run "build with ASan and UBSan" 900 bash -c "$(declare -f build_with); scratch=$scratch; build_with $build_asan \
	-Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized"
run "build with TSan" 900 bash -c "$(declare -f build_with); scratch=$scratch; build_with $build_tsan \
	-Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized"

for test in "$build"/tests/unit/*_test; do
	run "unit $(basename "$test")" 300 "$test"
done
for test in "$build_asan"/tests/unit/*_test; do
	run "unit, ASan $(basename "$test")" 600 "$test"
done
for prefix in $tsan_tests; do
	for test in "$build_tsan"/tests/unit/"$prefix"*_test; do
		[ -x "$test" ] && run "unit, TSan $(basename "$test")" 600 setarch -R "$test"
	done
done
for target in node json text arguments node_name status ignite analyze; do
	run "fuzz seeds $target" 300 "$build_asan/tests/fuzz/${target}_replay" tests/fuzz/seeds/$target/*
done
for case in tests/cases/*.sh; do
	[ "$case" = tests/cases/lib.sh ] && continue
	PIPEAHEAD=$PWD/$build/pipeahead PIPEAHEAD_ASAN=$PWD/$build_asan/pipeahead \
		run "case $(basename "$case" .sh)" 600 bash "$case"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
