#!/usr/bin/env bash
# Fuzzes targets with libFuzzer, ASan and UBSan, from their seeds, and analyze also from the files of PA_CORPUS if that is
# set.  What is found is left in the build folder; cut down (-minimize_crash=1), it becomes a seed.
# usage: tests/fuzz/run.sh [SECONDS_PER_TARGET [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
shift || true
targets=("$@")
[ $# -gt 0 ] || targets=(node json text arguments node_name status ignite analyze)
build=${BUILD_FUZZ:-build-fuzz}
flags="-g -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -fsanitize=address,undefined -fno-sanitize-recover=undefined -std=gnu17 -D_GNU_SOURCE -Isrc -Itests/fuzz"
rm -rf "$build/objects" && mkdir -p "$build/objects"

printf '%s\n' src/ignite/{wire,key,encode,decode,decode_object,decode_cluster}.c src/base/*.c src/pipeline/*.c src/config/*.c src/store/*.c src/cmd/cmd.c src/cmd/files.c |
	xargs -P "$(nproc)" -I@ sh -c \
		"clang-14 $flags -fsanitize=fuzzer-no-link -c @ -o $build/objects/\$(echo @ | tr / _).o"
ar rcs "$build/objects/all.a" "$build"/objects/*.o
for target in "${targets[@]}"; do
	# shellcheck disable=SC2086
	clang-14 $flags -fsanitize=fuzzer "tests/fuzz/${target}_fuzz.c" "$build/objects/all.a" -o "$build/$target" \
		-lyaml -ljansson -lxxhash -lcrypto -lz -lpthread -lm
done
for target in "${targets[@]}"; do
	seeds=("tests/fuzz/seeds/$target")
	if [ "$target" = analyze ] && [ -n "${PA_CORPUS:-}" ]; then
		for folder in "$PA_CORPUS"/*/*/; do
			seeds+=("$folder")
		done
	fi
	mkdir -p "$build/$target-corpus"
	"$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
		-dict=tests/fuzz/pipeline.dict -artifact_prefix="$build/$target-" "$build/$target-corpus" "${seeds[@]}"
done
