#!/usr/bin/env bash
# The Ignite client over TLS with client certificates: what is accepted, and what is refused with which words.
. "$(dirname "$0")/lib.sh"
service=$top/tests/services/ignite
nodes=$work/ignite
export PA_IGNITE_BASE_PORT=${PA_IGNITE_BASE_PORT:-26800}
mkdir -p "$nodes" "$work/keys" "$work/expired" "$work/plain"
trap '"$service/stop.sh" "$nodes"; "$service/stop.sh" "$work/expired-node"; "$service/stop.sh" "$work/plain"; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
command -v openssl >/dev/null || skip "needs openssl"
"$service/fetch.sh" >/dev/null 2>"$work/why" || { status=$?; [ $status -eq 77 ] && skip "$(tail -n 1 "$work/why")"; fail "fetch"; }

authority() { # NAME
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}
certificate() { # NAME AUTHORITY SUBJECT_ALT_NAME DAYS
	openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
	printf 'subjectAltName=%s\n' "$3" >"$work/$1.ext"
	if [ "$4" -gt 0 ]; then
		openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.pem" -CAkey "$work/$2.key" -CAcreateserial -days "$4" \
			-extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null
	else
		mkdir -p "$work/ca-$1" && : >"$work/ca-$1/index"
		printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nnew_certs_dir=%s\nserial=%s\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
			"$work/ca-$1/index" "$work/ca-$1" "$work/ca-$1/serial" >"$work/ca-$1/config"
		openssl ca -batch -config "$work/ca-$1/config" -create_serial -in "$work/$1.csr" -cert "$work/$2.pem" \
			-keyfile "$work/$2.key" -startdate 20200101000000Z -enddate 20200201000000Z -extfile "$work/$1.ext" \
			-notext -out "$work/$1.pem" 2>/dev/null
	fi
}
stores() { # NODE_CERTIFICATE FOLDER: what Java wants
	openssl pkcs12 -export -in "$work/$1.pem" -inkey "$work/$1.key" -name node -passout pass:pipeahead -out "$2/node.p12" 2>/dev/null
	rm -f "$2/ca.p12"
	keytool -importcert -noprompt -alias ca -file "$work/ours.pem" -storetype PKCS12 -keystore "$2/ca.p12" \
		-storepass pipeahead >/dev/null 2>&1
}
authority ours
authority theirs
certificate node ours "IP:127.0.0.1,DNS:ignite.test" 2
certificate old ours "IP:127.0.0.1" 0
certificate client ours "DNS:client" 2
certificate stranger theirs "DNS:client" 2
stores node "$work/keys"
stores old "$work/expired"
"$service/start.sh" "$nodes" 1 1 -Dpa.keys="$work/keys" || fail "a node with TLS"
mkdir -p "$work/expired-node"
PA_IGNITE_BASE_PORT=$((PA_IGNITE_BASE_PORT + 10)) "$service/start.sh" "$work/expired-node" 1 1 -Dpa.keys="$work/expired" || fail "a node with an old certificate"
PA_IGNITE_BASE_PORT=$((PA_IGNITE_BASE_PORT + 20)) "$service/start.sh" "$work/plain" 1 1 || fail "a node without TLS"
good=127.0.0.1:$((PA_IGNITE_BASE_PORT + 1)) old=127.0.0.1:$((PA_IGNITE_BASE_PORT + 11)) plain=127.0.0.1:$((PA_IGNITE_BASE_PORT + 21))
ok "three nodes: with TLS, with an expired certificate, without TLS"

ours=(--tls-ca "$work/ours.pem" --tls-cert "$work/client.pem" --tls-key "$work/client.key" --timeout 5s)
head -c 5000000 /dev/urandom >"$work/value"
"$PIPEAHEAD" ignite put secret 1 "$work/value" --create --endpoint "$good" "${ours[@]}" >/dev/null || fail "put over TLS"
"$PIPEAHEAD" ignite get secret 1 --endpoint "$good" "${ours[@]}" | cmp - "$work/value" || fail "get over TLS"
"$PIPEAHEAD" ignite ping --count 1 --endpoint "$good" "${ours[@]}" --tls-name ignite.test >/dev/null || fail "by name"
ok "5 MB there and back over TLS with a client certificate"

refused() { # WORDS WHAT OPTION...
	local words=$1 what=$2 begin=$SECONDS
	shift 2
	"$PIPEAHEAD" ignite ping --count 1 --timeout 5s "$@" >"$work/out" 2>&1 && fail "$what is accepted"
	grep -qE "$words" "$work/out" || { cat "$work/out"; fail "$what: other words"; }
	[ $((SECONDS - begin)) -le 7 ] || fail "$what took $((SECONDS - begin)) s"
	ok "$what: $(cut -c1-150 "$work/out")"
}
refused "certificate required|bad certificate|closed by the server" "no client certificate" --endpoint "$good" --tls-ca "$work/ours.pem"
refused "unknown ca|certificate unknown|bad certificate|closed by the server" "a client certificate of another authority" --endpoint "$good" \
	--tls-ca "$work/ours.pem" --tls-cert "$work/stranger.pem" --tls-key "$work/stranger.key"
refused "self.signed|unable to get local issuer" "a server of another authority" --endpoint "$good" --tls-ca "$work/theirs.pem" \
	--tls-cert "$work/client.pem" --tls-key "$work/client.key"
refused "mismatch" "a server of another name" --endpoint "$good" "${ours[@]}" --tls-name other.test
refused "expired" "an expired server certificate" --endpoint "$old" "${ours[@]}"
refused "TLS" "plain text to a TLS port" --endpoint "$good"
refused "TLS" "TLS to a plain port" --endpoint "$plain" "${ours[@]}"
refused "no-such-file" "a file that is not there" --endpoint "$good" --tls-ca "$work/no-such-file.pem"
refused "needs its key" "a certificate without key" --endpoint "$good" --tls-ca "$work/ours.pem" --tls-cert "$work/client.pem"
