#!/usr/bin/env bash
# Fuzzes each target with libFuzzer, ASan and UBSan, from its seeds; what it finds is left in build-fuzz/.
# usage: tests/fuzz/run.sh [SECONDS_PER_TARGET]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
mkdir -p build-fuzz
for target in node analyze; do
	sources=(src/base/*.c tests/fuzz/${target}_fuzz.c)
	[ $target = analyze ] && sources+=(src/pipeline/*.c)
	clang-14 -g -O1 -fsanitize=fuzzer,address,undefined -std=gnu17 -D_GNU_SOURCE -Isrc "${sources[@]}" \
		-o "build-fuzz/$target" -lyaml -ljansson -lxxhash -lcrypto -lpthread -lm
	mkdir -p "build-fuzz/$target-corpus"
	"build-fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
		-artifact_prefix="build-fuzz/$target-" "build-fuzz/$target-corpus" "tests/fuzz/seeds/$target"
done
