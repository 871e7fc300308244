#!/usr/bin/env bash
# Starts one node of a test cluster and returns when it answers; its pid is in FOLDER/NUMBER.pid.
# usage: start.sh FOLDER NUMBER NODES [JAVA_OPTION...]
#   node NUMBER (from 1) of NODES: thin port base + NUMBER, discovery base + 100 + NUMBER, communication base + 200 +
#   NUMBER, where base is $PA_IGNITE_BASE_PORT (default 24800), on the address $PA_IGNITE_HOST (default 127.0.0.1).
#   JAVA_OPTION: -Dpa.chunks=MIB, -Dpa.keys=FOLDER, ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 number=$2 nodes=$3
shift 3
base=${PA_IGNITE_BASE_PORT:-24800}
host=${PA_IGNITE_HOST:-127.0.0.1}
"$here/fetch.sh" >/dev/null
mkdir -p "$folder/work-$number"
peers=""
for i in $(seq "$nodes"); do peers+="${peers:+,}$host:$((base + 100 + i))"; done
nohup "$here/java.sh" -Xms128m -Xmx384m -XX:+UseG1GC -XX:G1HeapRegionSize=16m \
	-Dpa.host="$host" -Dpa.name="node-$number" -Dpa.thin=$((base + number)) -Dpa.discovery=$((base + 100 + number)) \
	-Dpa.communication=$((base + 200 + number)) -Dpa.peers="$peers" -Dpa.work="$folder/work-$number" "$@" \
	IgniteService >"$folder/$number.log" 2>&1 </dev/null &
pid=$!
echo $pid >"$folder/$number.pid"
for _ in $(seq 600); do
	grep -q '^READY' "$folder/$number.log" && exit 0
	kill -0 $pid 2>/dev/null || break
	sleep 0.1
done
echo "Ignite node $number did not start:" >&2
tail -n 20 "$folder/$number.log" >&2
kill -9 $pid 2>/dev/null
exit 1
