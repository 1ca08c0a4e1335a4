#!/usr/bin/env bash
# Real kernels talk through the relay; what the application sees at each tap.
#
#   lossy.sh PROGRAMS DIRECTORY [COUNT [SEED]]
#
# PROGRAMS has talk, relay and watch; DIRECTORY gets the traces and rows, and
# loses the traces again if all is well. COUNT conversations for each loss rate.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=../../scripts/lib/netns.sh
. "$here/../../scripts/lib/netns.sh"
programs=$1 out=$2 count=${3:-160} seed=${4:-1}
rates=0,1,3,5,10

if ! why=$(netns_possible); then
    echo "$why"
    exit 77
fi
netns_begin || exit 1
mkdir -p "$out" && cd "$out" || exit 1
die() { echo "lossy.sh: $*"; exit 1; }

netns_add client && netns_add relay && netns_add server || die "no namespaces"
netns_link client eth0 relay eth0 && netns_link relay eth1 server eth0 || die "no veth"
netns_in client ip addr add 10.65.0.1/24 dev eth0
netns_in server ip addr add 10.65.0.2/24 dev eth0
for host in client server; do
    netns_in $host sysctl -qw net.ipv4.tcp_max_syn_backlog=4096 net.core.somaxconn=4096 net.ipv4.tcp_syncookies=0 \
        net.ipv4.tcp_no_metrics_save=1 net.ipv4.tcp_fin_timeout=60
    # A round trip takes 4 ms here; where the kernel lets us, it does not wait 200 for a lost one.
    netns_in $host sysctl -qw net.ipv4.tcp_rto_min_us=60000 2>/dev/null
done
# Fast open at once and without cookies: 1 client, 2 server, 4 and 0x200 no cookie.
netns_in client sysctl -qw net.ipv4.tcp_fastopen=$((0x5))
netns_in server sysctl -qw net.ipv4.tcp_fastopen=$((0x202))

# wait_for SECONDS COMMAND…
wait_for() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

ports=()
IFS=, read -ra each <<<"$rates"
for i in "${!each[@]}"; do ports+=("$((9000 + i))=${each[i]}"); done
netns_spawn relay "$programs/relay" eth0 eth1 client.pcap server.pcap "$seed" "${ports[@]}" >relay.log 2>&1
relay=$NETNS_PID
wait_for 5 grep -q ready relay.log || die "the relay does not start: $(cat relay.log)"
netns_spawn server timeout 240 "$programs/talk" server 10.65.0.2 "$seed" $rates "$count" >server.rows 2>server.log
server=$NETNS_PID
listening() { netns_in server ss -Hltn | grep -q ':9004 '; }
wait_for 5 listening || die "the server does not listen: $(cat server.log)"
started=$SECONDS
netns_in client timeout 240 "$programs/talk" client 10.65.0.2 "$seed" $rates "$count" >client.rows 2>client.log ||
    die "the client: status $? $(cat client.log)"
wait_for 60 gone "$server" || die "the server does not end: $(cat server.log)"
# Last ACKs may still be lost and repeated.
settled() {
    local host
    for host in client server; do
        netns_in $host ss -Htan | grep -qv TIME-WAIT && return 1
    done
    return 0
}
wait_for 20 settled || die "connections remain: $(netns_in client ss -Htan | head -n 5) $(netns_in server ss -Htan | head -n 5)"
sleep 0.1
kill -TERM "$relay"
wait_for 5 gone "$relay" || die "the relay does not end"
echo "# $(tail -n 1 relay.log), in $((SECONDS - started)) s"

# watch TRACE ROWS OPTION…
watch() {
    local trace=$1 rows=$2
    shift 2
    MOS_NETDEV="dpdk0=pcap:$PWD/$trace" "$programs/watch" -c "$here/watch.conf" -s "$seed" "$@" >"$rows" ||
        die "watch $trace: status $?"
}
status=0
watch client.pcap client.watch
watch server.pcap server.watch
python3 "$here/compare.py" taps $rates "$count" client.rows server.rows client.watch server.watch | tee taps.tap | grep -v "^1\.\."
[ "${PIPESTATUS[0]}" = 0 ] || status=1

# Captures that cannot keep up: TAP goes on with the numbers of the plan above.
next=$(grep -cE '^(not )?ok ' taps.tap)
for percent in 1 5; do
    for side in client server; do
        python3 "$here/thin.py" $percent "$seed" $side.pcap thin.pcap || die "thin.py"
        watch thin.pcap thin.watch
        python3 "$here/compare.py" thin $rates "$count" client.rows server.rows $percent thin.watch $side.pcap thin.pcap >thin.tap || status=1
        while IFS= read -r line; do
            case $line in
            *ok\ [0-9]*)
                next=$((next + 1))
                echo "${line%%ok *}ok $next - tap at the $side, ${line#*- }"
                ;;
            '#'*) echo "$line" ;;
            esac
        done <thin.tap
    done
done
# What counts when honest segments overlap does not depend on the policy.
watch server.pcap other.watch -o 2
next=$((next + 1))
if diff <(grep -v ^stats server.watch) <(grep -v ^stats other.watch) >policy.diff; then
    echo "ok $next - tap at the server: the same with MOS_OVERLAP_POLICY_LINUX"
else
    echo "not ok $next - tap at the server: the same with MOS_OVERLAP_POLICY_LINUX"
    sed 's/^/#   /' policy.diff | head -n 10
    status=1
fi
rm -f thin.pcap
[ $status = 0 ] && rm -f client.pcap server.pcap
exit $status
