#!/usr/bin/env bash
# The planner against published policies on recorded workflows: tables on standard output (docs/planning.md).
# usage: tests/bench/simulate.sh BUILD [INSTANCE...]   default: all of PA_WFINSTANCES
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
shift
instances=("$@")
if [ ${#instances[@]} -eq 0 ]; then
	folder=${PA_WFINSTANCES:-$PWD/../shared/wfinstances}
	[ -d "$folder" ] || { echo "no WfCommons instances: set PA_WFINSTANCES to a folder of them"; exit 0; }
	instances=("$folder"/*.json)
fi
sweep=("$build/pipeahead" simulate "${instances[@]}" --sweep --scale 100 --memory 10%,30%,100% --rho 0.25,0.5,1 --format table)
echo "-- the order of tasks is free"
"${sweep[@]}"
echo "-- the order is left as given"
"${sweep[@]}" --order given
echo "-- durations are off: noise 0.3"
"${sweep[@]}" --noise 0.3
echo "-- four at once, some with shared files: makespan / ideal at 10% 0.25, 30% 0.5, 100% 1"
for policy in pipeahead none lru lrc lerc mrd fcfs-lru never-evict kariz min edf-min; do
	printf '%-14s' "$policy"
	for cell in "10% 0.25" "30% 0.5" "100% 1"; do
		read -r memory rho <<<"$cell"
		log_sum=0 count=0
		for ((first = 0; first + 4 <= ${#instances[@]}; first += 4)); do
			ratio=$("$build/pipeahead" simulate "${instances[@]:first:4}" --policy "$policy" --scale 100 \
				--memory "$memory" --rho "$rho" --format json |
				python3 -c 'import json, math, sys; print(math.log(json.load(sys.stdin)["stall_ratio"]))')
			log_sum=$(python3 -c "print($log_sum + $ratio)") count=$((count + 1))
		done
		python3 -c "import math; print(f'{math.exp($log_sum / max($count, 1)):10.3f}', end='')"
	done
	echo
done
