#!/usr/bin/env bash
# Ends the nodes that start.sh left in FOLDER, by their pids; without waiting for anything they still want to do.
# usage: stop.sh FOLDER [NUMBER...]
set -u
folder=$1
shift
if [ $# -eq 0 ]; then
	files=("$folder"/*.pid)
else
	files=("${@/#/$folder/}")
	files=("${files[@]/%/.pid}")
fi
for file in "${files[@]}"; do
	[ -f "$file" ] || continue
	pid=$(cat "$file")
	kill -9 "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	rm -f "$file"
done
