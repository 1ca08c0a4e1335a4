# shellcheck shell=bash
# Network namespaces for tests and recordings. Source this, then:
#
#   netns_begin                     checks rights and tools, arms the clean-up
#   netns_add web                   a namespace; its real name is unique to this run
#   netns_link a eth0 b eth0        a veth pair between two of them, offloads off
#   netns_in web ip addr add …      runs a command inside
#   netns_spawn web server …        starts one in the background, sets NETNS_PID
#
# Everything made here is removed when the shell ends, however it ends:
# processes inside the namespaces first, then the namespaces, which takes the
# veth pairs along. Names carry the process id, so that two runs never meet.

NETNS_PREFIX=
NETNS_NAMES=()
NETNS_LINKS=0

# 0: namespaces can be used here. Otherwise prints why not, returns 1.
netns_possible() {
    local tool
    if [ "$(id -u)" != 0 ]; then
        echo "network namespaces need root"
        return 1
    fi
    for tool in ip ethtool; do
        if ! command -v "$tool" >/dev/null 2>&1; then
            echo "$tool is not installed (scripts/deps record)"
            return 1
        fi
    done
    if ! ip netns add "mosprobe$$" 2>/dev/null; then
        echo "the kernel does not let us make a network namespace"
        return 1
    fi
    ip netns del "mosprobe$$"
}

netns_begin() {
    local why
    if ! why=$(netns_possible); then
        echo "netns: $why" >&2
        return 1
    fi
    NETNS_PREFIX=mos$$
    trap netns_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

netns_end() {
    local name pid
    for name in "${NETNS_NAMES[@]+"${NETNS_NAMES[@]}"}"; do
        for pid in $(ip netns pids "$NETNS_PREFIX-$name" 2>/dev/null); do
            kill -KILL "$pid" 2>/dev/null
        done
        ip netns del "$NETNS_PREFIX-$name" 2>/dev/null
    done
    NETNS_NAMES=()
}

netns_add() {
    local name=$1
    ip netns add "$NETNS_PREFIX-$name" || return 1
    NETNS_NAMES+=("$name")
    # No IPv6 chatter (router solicitations, DAD) unless a test turns it on.
    netns_in "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    netns_in "$name" ip link set lo up
}

netns_in() {
    local name=$1
    shift
    ip netns exec "$NETNS_PREFIX-$name" "$@"
}

# netns_spawn NAME COMMAND…: in the background; NETNS_PID is the command's own
# process id, so that a signal reaches it and not a shell around it.
netns_spawn() {
    local name=$1
    shift
    ip netns exec "$NETNS_PREFIX-$name" "$@" &
    # shellcheck disable=SC2034  # for the caller
    NETNS_PID=$!
    disown "$NETNS_PID"     # its end is no news to report
}

# netns_link A IF_A B IF_B: locally administered MAC addresses 02:00:00:00:NN:01
# and …:02, no segmentation or checksum offload, so that what is captured is
# what a wire would carry.
netns_link() {
    local a=$1 if_a=$2 b=$3 if_b=$4 mac
    NETNS_LINKS=$((NETNS_LINKS + 1))
    mac=$(printf '02:00:00:00:%02x' "$NETNS_LINKS")
    ip link add "$if_a" netns "$NETNS_PREFIX-$a" address "$mac:01" \
        type veth peer name "$if_b" netns "$NETNS_PREFIX-$b" address "$mac:02" || return 1
    netns_plain "$a" "$if_a" && netns_plain "$b" "$if_b"
}

netns_plain() {
    netns_in "$1" ethtool -K "$2" tx off rx off tso off gso off gro off sg off >/dev/null 2>&1
    netns_in "$1" ip link set "$2" up
}
