#!/bin/bash
# coturn's own client against the relay: every way in, every way of sending, and what has to be refused.
# coturn.sh <sabha> [ip]; exit 77: coturn is not installed.
sabha=$1
ip=${2:-127.0.0.1}
command -v turnutils_uclient >/dev/null && command -v turnutils_peer >/dev/null || exit 77
secret=$(printf 'a secret of at least thirty-two bytes')
port=3999
tls=3998
"$sabha" turn --turn-udp-port $port --turn-tcp-port $port --turn-tls-port $tls --turn-tls-self-signed true \
    --turn-realm test --turn-users "user: pass" --turn-secret "$secret" --turn-old-channels true --turn-workers 2 \
    --turn-relay-ip "$ip,::1" --turn-allow-peers 127.0.0.0/8 --turn-unauthenticated-rate 0 \
    --turn-user-quota 1000 --log warn >/tmp/sabha-turn-$$.log 2>&1 &
server=$!
turnutils_peer -L 127.0.0.2 -p 3480 >/dev/null 2>&1 &
peer=$!
trap 'kill $server $peer 2>/dev/null' EXIT
for _ in $(seq 100); do
    timeout 1 turnutils_stunclient -p $port "$ip" 2>/dev/null | grep -q 'reflexive' && break
done

failed=0
# What is asked, how many messages have to come back ("refused": none may), and uclient's words. Over TLS uclient itself loses
# a few, with coturn's server too.
try() {
    local name=$1 wanted=$2
    shift 2
    local said
    said=$(timeout 60 turnutils_uclient -c -m 4 -n 50 -l 120 -z 5 -p $port "$@" 2>&1)
    local received
    received=$(grep -o 'tot_recv_msgs=[0-9]*' <<<"$said" | tail -1 | cut -d= -f2)
    if [ "$wanted" = refused ]; then
        [ "${received:-0}" = 0 ] && echo "ok      $name" && return
    elif [ "${received:-0}" -ge "$wanted" ]; then
        echo "ok      $name" && return
    fi
    echo "FAILED  $name: ${received:-none} of $wanted"
    tail -5 <<<"$said" | sed 's/^/        /'
    failed=1
}
who=(-u user -w pass)
# Our own addresses are never peers: the echo lives at another one.
to=(-e 127.0.0.2 -r 3480)

try "udp, channels" 200 "${who[@]}" "${to[@]}" "$ip"
try "udp, indications" 200 "${who[@]}" "${to[@]}" -s "$ip"
try "udp, client to client, channels" 200 "${who[@]}" -y "$ip"
try "udp, client to client, indications" 200 "${who[@]}" -y -s "$ip"
try "udp, large messages" 200 "${who[@]}" "${to[@]}" -l 1200 "$ip"
try "udp, dont-fragment" 200 "${who[@]}" "${to[@]}" -g "$ip"
try "udp, mandatory channel padding" 200 "${who[@]}" "${to[@]}" -D "$ip"
try "udp, two addresses in a permission" 200 "${who[@]}" "${to[@]}" -G "$ip"
try "udp, secret" 200 -u user -W "$secret" "${to[@]}" "$ip"
try "udp, random disconnect" 200 "${who[@]}" "${to[@]}" -B "$ip"
try "tcp, channels" 200 "${who[@]}" "${to[@]}" -t "$ip"
try "tcp, indications" 200 "${who[@]}" "${to[@]}" -t -s "$ip"
try "tcp, client to client" 200 "${who[@]}" -t -y "$ip"
try "tls, channels" 190 "${who[@]}" "${to[@]}" -t -S -p $tls "$ip"
try "tls, indications" 190 "${who[@]}" "${to[@]}" -t -S -s -p $tls "$ip"
try "ipv6 relays from ipv4, client to client" 200 "${who[@]}" -y -x "$ip"
try "ipv6 all the way, client to client" 200 "${who[@]}" -y -x ::1
try "ipv6 client, ipv4 relay" 200 "${who[@]}" "${to[@]}" ::1
try "wrong password" refused -u user -w wrong "${to[@]}" "$ip"
try "wrong user" refused -u nobody -w pass "${to[@]}" "$ip"
try "wrong secret" refused -u user -W "another secret of thirty-two bytes" "${to[@]}" "$ip"
try "denied peer" refused "${who[@]}" -e 8.8.8.8 -r 3480 "$ip"
try "denied peer, ourselves" refused "${who[@]}" -e "$ip" -r $port "$ip"
turnutils_stunclient -p $port "$ip" 2>&1 | grep -q 'reflexive addr' && echo "ok      stun client" || failed=1
kill -0 $server 2>/dev/null && echo "ok      the relay is alive" || { echo "FAILED  the relay died"; failed=1; }
grep -iE 'panic|error' /tmp/sabha-turn-$$.log && failed=1
rm -f /tmp/sabha-turn-$$.log
exit $failed
