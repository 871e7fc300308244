#!/usr/bin/env bash
# The network to an Ignite node is cut for 30 s (packets go nowhere, nothing is refused): requests end at their deadlines, and
# go on by themselves when it is back.  Before that, a region of that node is filled until it refuses.
. "$(dirname "$0")/lib.sh"
service=$top/tests/services/ignite
programs=$(dirname "$PIPEAHEAD")/tests/services/ignite
nodes=$work/ignite
space=pa-ignite-$$
export PA_IGNITE_BASE_PORT=27800
[ "$(id -u)" -eq 0 ] || skip "needs root for a network namespace"
command -v ip >/dev/null || skip "needs iproute2"
mkdir -p "$nodes"
trap '"$service/stop.sh" "$nodes"; ip netns del $space 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
[ -x "$programs/ignite_traffic" ] || skip "needs a build with tests"
"$service/fetch.sh" >/dev/null 2>"$work/why" || { status=$?; [ $status -eq 77 ] && skip "$(tail -n 1 "$work/why")"; fail "fetch"; }
link=pai$(($$ % 10000))
if ! ip netns add $space 2>/dev/null || ! ip link add $link type veth peer name inside netns $space 2>/dev/null; then
	skip "no network namespaces here"
fi
subnet=10.213.$(($$ % 250))
ip addr add $subnet.1/24 dev $link && ip link set $link up
ip -n $space addr add $subnet.2/24 dev inside && ip -n $space link set inside up && ip -n $space link set lo up
PA_IGNITE_HOST=$subnet.2 ip netns exec $space "$service/start.sh" "$nodes" 1 1 -Dpa.chunks=96 -Dpa.idle=1500 || fail "a node"
"$programs/ignite_exchange" $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) full chunks >"$work/out" 2>&1 || { cat "$work/out"; fail "a full region"; }
ok "a full region: $(grep '^#' "$work/out")"
"$programs/ignite_exchange" $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) idle 5000 >"$work/out" 2>&1 || { cat "$work/out"; fail "idle"; }
ok "5 s without a request at a node that closes connections after 1.5 s: none is lost"
field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$work/traffic"; }

"$programs/ignite_traffic" $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) 50 4 >"$work/traffic" 2>"$work/traffic.err" &
traffic_pid=$!
sleep 5
entries() { "$PIPEAHEAD" ignite stat traffic --endpoint $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) --format json | sed -n 's/.*"entries": \([0-9]*\).*/\1/p'; }
[ "$(entries)" -gt 10 ] || fail "no traffic before the cut"
ip link set $link down
sleep 15
begin=$SECONDS
"$PIPEAHEAD" ignite ping --count 1 --timeout 2s --endpoint $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) 2>"$work/err" && fail "a ping through the cut"
[ $((SECONDS - begin)) -le 4 ] || fail "a ping of 2 s took $((SECONDS - begin)) s"
sleep $((15 - (SECONDS - begin)))
ip link set $link up
"$PIPEAHEAD" ignite put traffic marker "$0" --timeout 10s --endpoint $subnet.2:$((PA_IGNITE_BASE_PORT + 1)) >/dev/null || fail "after the cut"
wait $traffic_pid || { cat "$work/traffic" "$work/traffic.err"; fail "traffic through a cut"; }
[ "$(field deadline)" -gt 0 ] && [ "$(field connections_lost)" -gt 0 ] && [ "$(field gets)" -gt 1000 ] || { cat "$work/traffic"; fail "what the cut did"; }
ok "30 s without network: $(cat "$work/traffic")"
