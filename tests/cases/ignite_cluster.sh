#!/usr/bin/env bash
# The Ignite client against three real nodes: every operation, values exchanged with the official Java client both ways,
# traffic while a node is killed and comes back, then while all are killed, and `pipeahead ignite`.
. "$(dirname "$0")/lib.sh"
service=$top/tests/services/ignite
programs=$(dirname "$PIPEAHEAD")/tests/services/ignite
nodes=$work/ignite
export PA_IGNITE_BASE_PORT=${PA_IGNITE_BASE_PORT:-25800}
mkdir -p "$nodes"
trap '"$service/stop.sh" "$nodes"; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
[ -x "$programs/ignite_conformance" ] || skip "needs a build with tests"
"$service/fetch.sh" >/dev/null 2>"$work/why" || { status=$?; [ $status -eq 77 ] && skip "$(tail -n 1 "$work/why")"; fail "fetch"; }
endpoint() { echo "127.0.0.1:$((PA_IGNITE_BASE_PORT + $1))"; }
all=$(endpoint 1),$(endpoint 2),$(endpoint 3)
start_all() {
	local pids=() pid i
	for i in 1 2 3; do
		"$service/start.sh" "$nodes" $i 3 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || fail "a node did not start"; done
}
start_all
ok "three nodes"

"$programs/ignite_conformance" "$(endpoint 1)" >"$work/out" 2>&1 || { cat "$work/out"; fail "conformance"; }
ok "every operation ($(grep -c '^ok' "$work/out") checks)"
"$service/java.sh" -Xmx128m OfficialClient "$(endpoint 1)" write from-java >"$work/out" 2>&1 || { tail "$work/out"; fail "official client"; }
"$programs/ignite_exchange" "$(endpoint 2)" check from-java >/dev/null || fail "what the official client wrote"
"$programs/ignite_exchange" "$(endpoint 3)" write from-c >/dev/null || fail "write"
"$service/java.sh" -Xmx128m OfficialClient "$(endpoint 1)" check from-c >"$work/out" 2>&1 || { tail "$work/out"; fail "the official client reads what we wrote"; }
ok "values are the same for the official client, both ways"

field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$work/traffic"; }
traffic() { # SECONDS: in the background, from the first node's endpoint alone
	"$programs/ignite_traffic" "$all" "$1" 4 >"$work/traffic" 2>"$work/traffic.err" &
	traffic_pid=$!
}
traffic 5
wait $traffic_pid || { cat "$work/traffic" "$work/traffic.err"; fail "quiet traffic"; }
[ "$(field failed)" -eq 0 ] || { cat "$work/traffic" "$work/traffic.err"; fail "failures in quiet times"; }
ok "quiet traffic: $(cat "$work/traffic")"
traffic 25
sleep 4
"$service/stop.sh" "$nodes" 2
sleep 4
"$service/start.sh" "$nodes" 2 3 || fail "restart of node 2"
wait $traffic_pid || { cat "$work/traffic" "$work/traffic.err"; fail "traffic while a node dies and returns"; }
[ "$(field gets)" -gt 100 ] && [ "$(field maps)" -gt 1 ] || { cat "$work/traffic"; fail "the traffic went on"; }
ok "one node killed and back: $(cat "$work/traffic")"
"$PIPEAHEAD" ignite nodes --endpoint "$(endpoint 1)" --format json >"$work/out" || fail "ignite nodes"
[ "$(grep -c '"member": true' "$work/out")" -eq 3 ] || { cat "$work/out"; fail "three members again"; }
ok "three members again"

traffic 60
sleep 2
"$service/stop.sh" "$nodes"
sleep 3
start_all
"$programs/ignite_exchange" "$(endpoint 2)" write from-c >/dev/null || fail "the new cluster works"
"$PIPEAHEAD" ignite put traffic x "$0" --create --endpoint "$(endpoint 1)" >/dev/null || fail "the cache again"
before=$("$PIPEAHEAD" ignite stat traffic --endpoint "$(endpoint 1)" --format json | sed -n 's/.*"entries": \([0-9]*\).*/\1/p')
wait $traffic_pid || { cat "$work/traffic" "$work/traffic.err"; fail "traffic while all nodes die and return"; }
after=$("$PIPEAHEAD" ignite stat traffic --endpoint "$(endpoint 1)" --format json | sed -n 's/.*"entries": \([0-9]*\).*/\1/p')
[ "$after" -gt "$before" ] || fail "the same client goes on with the new cluster: $before entries, then $after"
ok "all nodes killed and back: $(cat "$work/traffic")"

head -c 3000000 /dev/urandom >"$work/value"
ignite() { "$PIPEAHEAD" ignite "$@" --endpoint "$(endpoint 1)"; }
ignite put cli "schlüssel" "$work/value" --create --format json | grep -q '"bytes": 3000000' || fail "put"
ignite get cli "schlüssel" --output "$work/back" && cmp "$work/value" "$work/back" || fail "get"
ignite put cli 42 - <"$work/value" >/dev/null && ignite put cli 01234567-89ab-cdef-0123-456789abcdef "$work/value" >/dev/null || fail "put"
ignite scan cli --format json | python3 -c 'import json,sys; rows=json.load(sys.stdin); assert sorted(r["type"] for r in rows)==["long","text","uuid"] and all(r["bytes"]==3000000 for r in rows), rows' || fail "scan"
ignite stat cli --format json | python3 -c 'import json,sys; s=json.load(sys.stdin); assert s["entries"]==3 and s["partitions"]==1024 and sum(n["partitions"] for n in s["nodes"])==1024, s' || fail "stat"
ignite caches --format json | grep -q '"cli"' || fail "caches"
ignite ping --count 2 --format table | grep -q milliseconds || fail "ping"
ignite put cli soon "$work/value" --expire 200ms >/dev/null && sleep 1.5
ignite get cli soon 2>"$work/err" && fail "an expired value"
grep -q "there is no such key" "$work/err" || fail "what is said of a missing key"
ignite get nowhere 1 2>"$work/err" && fail "a cache that is not there"
grep -q "status 1000" "$work/err" || fail "what is said of a missing cache"
"$PIPEAHEAD" ignite get cli >/dev/null 2>&1; [ $? -eq 2 ] || fail "usage"
"$PIPEAHEAD" ignite nodes --endpoint host:x >/dev/null 2>&1; [ $? -eq 3 ] || fail "a bad endpoint"
ok "pipeahead ignite"
