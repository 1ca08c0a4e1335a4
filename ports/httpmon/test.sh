#!/bin/sh
# Builds httpmon against the installed library (PKG_CONFIG_PATH says which) and
# runs it on made-up connections. Exit status 0: all as it must be.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "httpmon: FAILED: $*" >&2; exit 1; }

libdir=$(pkg-config --variable=libdir mos) || fail "pkg-config does not find libmos"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
cp -r "$here/httpmon.c" "$here/Makefile" "$here/config" "$work"
cd "$work"

make -s CFLAGS="-O2 -g -Werror"
${CXX:-g++} -x c++ -Wall -Wextra -Werror $(pkg-config --cflags mos) -fsyntax-only httpmon.c

python3 "$here/make_trace.py" made.pcap
export MOS_NETDEV="dpdk0=pcap:made.pcap"
set -- example.com example.org '[2001:db8::9]'
./httpmon -f config/mos.conf "$@" >shown 2>counts
cat >expected <<'END'
10.0.0.10:40010 GET http://example.com/?[2J -> no HTTP
10.0.0.2:40002 GET http://example.com/torn?a=b -> 404
10.0.0.7:40007 HEAD http://example.org/ -> 304
10.0.0.9:40009 GET http://[2001:db8::9]/?q -> 200
[2001:db8::5]:40005 POST http://Example.COM/form -> 201
END
LC_ALL=C sort shown | diff -u expected - || fail "what is shown (above: -expected +shown)"

# 11 connections, of which three are not HTTP, as far as can be seen, and seven
# show a request; one of these is for another host, and one was not answered.
grep -q '^httpmon: 11 connections: 3 not HTTP, 7 with a request; [0-9]* looks for a host; 1 for other hosts, 5 shown$' counts ||
    fail "the counts: $(cat counts)"

# Three hosts at most are looked for on six answered connections, on one of them
# perhaps twice.
looks=$(sed 's/.*; \([0-9]*\) looks.*/\1/' counts)
[ "$looks" -ge 6 ] && [ "$looks" -le 21 ] || fail "$looks looks for a host"

# Two cores share the connections; what is shown is the same.
if [ "$(nproc)" -ge 2 ]; then
    sed 's/dpdk0 0x0001/dpdk0 0x0003/; s/core_mask = 0x0001/core_mask = 0x0003/' config/mos.conf >two.conf
    ./httpmon -f two.conf "$@" >shown 2>counts2
    LC_ALL=C sort shown | diff -u expected - || fail "what two cores show (above: -expected +shown)"
    grep -q '^httpmon: 11 connections: 3 not HTTP, 7 with a request; ' counts2 || fail "the counts: $(cat counts2)"
fi

status=0; ./httpmon 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status without a host"
status=0; ./httpmon -x host 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status with an unknown option"
# shellcheck disable=SC2046 # 65 words are wanted
status=0; ./httpmon $(seq 65) 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status with 65 hosts"
status=0; ./httpmon -f nowhere host 2>message || status=$?
[ $status -eq 1 ] && grep -q '^httpmon: ' message || fail "status $status without a configuration"
[ -z "$(./httpmon -q -f config/mos.conf nobody 2>&1)" ] || fail "-q is not quiet"
echo "httpmon: ok"
