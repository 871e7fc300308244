#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every construct of the corpus: one real file each, and what the model must say because of it.
#
# PIPEAHEAD: the binary.  PA_CORPUS: the corpus.  Skipped (77) where one is missing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${PIPEAHEAD:=}" "${PA_CORPUS:=}"
if [ ! -x "$PIPEAHEAD" ] || [ ! -f "$PA_CORPUS/CONSTRUCTS.tsv" ] || ! command -v python3 >/dev/null; then
	echo "skipped: PIPEAHEAD, PA_CORPUS or python3 is missing"
	exit 77
fi
exec python3 "$here/analyze_constructs.py" "$PIPEAHEAD" "$PA_CORPUS" "$here/analyze_constructs.tsv"
