#!/usr/bin/env bash
# Insertion and evasion: plays tricks.py against the kernel, and compares what
# its program read with what an application of libmos was given.
#
#   evasion.sh PROGRAMS DIRECTORY [--write]
#
# PROGRAMS has watch; DIRECTORY gets the traces. --write writes the table of
# docs/evasion.md anew.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=../../scripts/lib/netns.sh
. "$here/../../scripts/lib/netns.sh"
programs=$1 out=$2
shift 2

if ! why=$(netns_possible); then
    echo "$why"
    exit 77
fi
netns_begin || exit 1
mkdir -p "$out" && cd "$out" || exit 1
die() { echo "evasion.sh: $*"; exit 1; }

netns_add attacker && netns_add router && netns_add host || die "no namespaces"
netns_link attacker eth0 router eth0 && netns_link router eth1 host eth0 || die "no veth"
# Large enough to go across the edge of a small window in one segment.
for end in "attacker eth0" "router eth0" "router eth1" "host eth0"; do
    netns_in "${end% *}" ip link set "${end#* }" mtu 9000
done
netns_in router ip addr add 10.66.1.1/24 dev eth0
netns_in router ip addr add 10.66.2.1/24 dev eth1
netns_in router sysctl -qw net.ipv4.ip_forward=1
netns_in host ip addr add 10.66.2.2/24 dev eth0
netns_in host ip route add default via 10.66.2.1
# IPv6, without duplicate detection and without solicitations.
for end in router host; do
    for which in default all; do
        netns_in $end sysctl -qw net.ipv6.conf.$which.accept_dad=0 net.ipv6.conf.$which.accept_ra=0 \
            net.ipv6.conf.$which.router_solicitations=0 net.ipv6.conf.$which.disable_ipv6=0
    done
done
netns_in router ip addr add fd66:1::1/64 dev eth0 nodad
netns_in router ip addr add fd66:2::1/64 dev eth1 nodad
netns_in router sysctl -qw net.ipv6.conf.all.forwarding=1
netns_in host ip addr add fd66:2::2/64 dev eth0 nodad
netns_in host ip route add default via fd66:2::1
# Nobody asks for neighbours: the attacker has no address that could answer.
netns_in router ip neigh add 10.66.1.2 lladdr 02:00:00:00:01:01 dev eth0
netns_in router ip neigh add 10.66.2.2 lladdr 02:00:00:00:02:02 dev eth1
netns_in host ip neigh add 10.66.2.1 lladdr 02:00:00:00:02:01 dev eth0
netns_in router ip neigh add fd66:1::2 lladdr 02:00:00:00:01:01 dev eth0
netns_in router ip neigh add fd66:2::2 lladdr 02:00:00:00:02:02 dev eth1
netns_in host ip neigh add fd66:2::1 lladdr 02:00:00:00:02:01 dev eth0
# What Linux does by default, whatever this machine is set to; fast open for
# servers that ask for it, without cookies.
netns_in host sysctl -qw net.ipv4.tcp_fastopen=$((0x202)) net.ipv4.tcp_invalid_ratelimit=0 \
    net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_rfc1337=0 \
    net.ipv4.conf.all.accept_source_route=0 net.ipv4.conf.eth0.accept_source_route=0 \
    net.ipv6.conf.all.accept_source_route=0 net.ipv6.conf.eth0.accept_source_route=0 \
    net.ipv6.max_hbh_opts_number=8 net.ipv6.max_dst_opts_number=8
netns_in router sysctl -qw net.ipv4.conf.all.accept_source_route=0 net.ipv4.conf.eth0.accept_source_route=0

timeout 240 python3 "$here/evade.py" play "$NETNS_PREFIX-attacker" "$NETNS_PREFIX-router" "$NETNS_PREFIX-host" "$PWD" ||
    die "evade.py: status $?"
for tap in tap1 tap2; do
    MOS_NETDEV="dpdk0=pcap:$PWD/$tap.pcap" "$programs/watch" -d -o 2 -c "$here/watch.conf" >$tap.rows || die "watch $tap: status $?"
    MOS_NETDEV="dpdk0=pcap:$PWD/$tap.pcap" "$programs/watch" -d -c "$here/watch.conf" >$tap.first.rows || die "watch $tap: status $?"
done
python3 "$here/evade.py" judge "$PWD" "$here/../../docs/evasion.md" "$@"
