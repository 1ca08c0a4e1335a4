#!/bin/sh
# Builds abacus against the installed library (PKG_CONFIG_PATH says which) and
# runs it on a made-up attack whose bill is known. Exit status 0: all right.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "abacus: FAILED: $*" >&2; exit 1; }

libdir=$(pkg-config --variable=libdir mos) || fail "pkg-config does not find libmos"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
cp -r "$here/abacus.c" "$here/Makefile" "$here/config" "$work"
cd "$work"

make -s CFLAGS="-O2 -g -Werror"
${CXX:-g++} -x c++ -Wall -Wextra -Werror $(pkg-config --cflags mos) -fsyntax-only abacus.c
python3 "$here/make_trace.py" attack.pcap truth.csv half.csv

export MOS_NETDEV="dpdk0=pcap:attack.pcap"
./abacus -f config/mos.conf -s config/subscribers -o usage.csv 2>reports
diff -u truth.csv usage.csv || fail "the bill (above: -truth +abacus)"

# One report for each end that forged: alice's browser, its server, the tunnel,
# carol.
cat >expected <<'END'
abacus: 10.1.0.1:40001 > 192.0.2.80:80: a retransmission at offset 100 differs from the original in 200 of 200 bytes
abacus: 192.0.2.80:80 > 10.1.0.1:40001: a retransmission at offset 5000 differs from the original in 36 of 100 bytes
abacus: 10.1.0.2:40002 > 192.0.2.66:443: a retransmission at offset 0 differs from the original in 1000 of 1000 bytes
abacus: 10.2.0.3:40007 > 192.0.2.80:80: a retransmission at offset 11980 differs from the original in 20 of 20 bytes
END
grep differs reports | diff -u expected - || fail "the reports"

# The same as JSON, to standard output.
./abacus -f config/mos.conf -s config/subscribers -j >usage.json 2>/dev/null
python3 - <<'END' || fail "the JSON"
import csv, json
rows = [json.loads(line) for line in open("usage.json")]
truth = list(csv.DictReader(open("truth.csv")))
assert [{key: str(value) for key, value in row.items()} for row in rows] == truth
END

# Two cores share the connections; the bill is the same.
if [ "$(nproc)" -ge 2 ]; then
    sed 's/dpdk0 0x0001/dpdk0 0x0003/; s/core_mask = 0x0001/core_mask = 0x0003/' config/mos.conf >two.conf
    for turn in 1 2 3; do
        ./abacus -f two.conf -s config/subscribers -o usage2.csv 2>/dev/null
        diff -u truth.csv usage2.csv || fail "the bill of two cores (above: -truth +abacus)"
    done
fi

# SIGHUP exports while it runs: the trace in real time, asked in the silence
# between its halves, is billed so far.
export MOS_NETDEV="dpdk0=pcap:attack.pcap,speed=1"
./abacus -f config/mos.conf -s config/subscribers -o live.csv 2>/dev/null &
abacus=$!
sleep 1
kill -HUP $abacus || fail "it ended before SIGHUP"
tries=0
while [ ! -f live.csv ]; do
    kill -0 $abacus 2>/dev/null && [ $tries -lt 200 ] || fail "SIGHUP was not answered"
    sleep 0.1
    tries=$((tries + 1))
done
diff -u half.csv live.csv || fail "the export on SIGHUP (above: -truth +abacus)"
kill -TERM $abacus
wait $abacus || fail "status $? after SIGTERM"
[ "$(wc -l <live.csv)" -eq "$(wc -l <truth.csv)" ] || fail "the export on SIGTERM"

# Subscribers by prefixes within prefixes, against a search of all of them.
cat >prefixes.py <<'END'
import ipaddress, os, random, sys
sys.path.insert(0, sys.argv[1])
from tcptrace import CLIENT, Conversation, Trace

chance = random.Random(4)
table, up, trace = {ipaddress.ip_network("::/0"): "six"}, {}, Trace()

def address(version):
    """Few different ones in the first bits, so that prefixes are nested."""
    if version == 4:
        return ipaddress.IPv4Address(0x0A000000 | chance.getrandbits(2) << 16 | chance.getrandbits(4))
    return ipaddress.IPv6Address(0x20010DB8 << 96 | chance.getrandbits(2) << 64 | chance.getrandbits(4))

for number in range(300):
    host = address(chance.choice((4, 6)))
    prefix = ipaddress.ip_network((host, chance.randint(0, host.max_prefixlen)), strict=False)
    # Names come back: lines of one name are one subscriber.
    if prefix not in table:
        table[prefix] = "s%d" % chance.randrange(100)
with open("nested", "w") as file:
    for prefix, name in table.items():
        # As somebody would write it, with bits behind the prefix.
        print(name, "%s/%d" % (prefix[chance.randrange(min(prefix.num_addresses, 9))], prefix.prefixlen), file=file)
        up.setdefault(name, 0)
up["*"] = 0
for port in range(2000):
    version = chance.choice((4, 6))
    ends = [address(version), ipaddress.ip_address("192.0.2.1" if version == 4 else "3000::1")]
    payers = set()
    for end in ends:
        fits = [prefix for prefix in table if prefix.version == version and end in prefix]
        payers.add(table[max(fits, key=lambda prefix: prefix.prefixlen)] if fits else None)
    talk = Conversation(trace, str(ends[0]), 1024 + port, str(ends[1]), 80)
    talk.handshake()
    talk.reset(CLIENT)
    for name in (payers - {None}) or {"*"}:
        up[name] += 1
trace.write("nested.pcap")
with open("nested.truth", "w") as file:
    for name, count in up.items():
        print(name, count, sep=",", file=file)
END
python3 prefixes.py "$here/../testing"
MOS_NETDEV="dpdk0=pcap:nested.pcap" ./abacus -f config/mos.conf -s nested -o nested.csv
tail -n +2 nested.csv | cut -d, -f1,2 | diff -u nested.truth - || fail "the subscribers (above: -truth +abacus)"

status=0; ./abacus 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status without subscribers"
echo "bob 10.1.2.3/33" >wrong
status=0; ./abacus -s wrong 2>message || status=$?
[ $status -eq 1 ] && grep -q '^wrong:1: ' message || fail "a wrong subscriber: status $status"
printf 'bob 10.1.2.3/24\n\nbill 10.1.2.0/24\n' >wrong
status=0; ./abacus -s wrong 2>message || status=$?
[ $status -eq 1 ] && grep -q '^wrong:3: .* bob$' message || fail "a prefix of two subscribers: status $status"
status=0; ./abacus -s config/subscribers -o nowhere/usage.csv 2>message || status=$?
[ $status -eq 1 ] && grep -q '^abacus: nowhere/usage.csv: ' message || fail "no output: status $status"
status=0; ./abacus -f config/mos.conf -s config/subscribers -b 2000000000 2>message || status=$?
[ $status -eq 1 ] && grep -q '^abacus: -b 2000000000 ' message || fail "too large a buffer: status $status"
for wrong in 0 -1 1x ''; do
    status=0; ./abacus -s config/subscribers -b "$wrong" 2>/dev/null || status=$?
    [ $status -eq 64 ] || fail "status $status with -b '$wrong'"
done
echo "abacus: ok"
