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

# One report for each end that forged: alice's browser, its server, the tunnel.
cat >expected <<'END'
abacus: 10.1.0.1:40001 > 192.0.2.80:80: a retransmission at offset 100 differs from the original in 200 of 200 bytes
abacus: 192.0.2.80:80 > 10.1.0.1:40001: a retransmission at offset 5000 differs from the original in 36 of 100 bytes
abacus: 10.1.0.2:40002 > 192.0.2.66:443: a retransmission at offset 0 differs from the original in 1000 of 1000 bytes
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

status=0; ./abacus 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status without subscribers"
echo "bob 10.1.2.3/33" >wrong
status=0; ./abacus -s wrong 2>message || status=$?
[ $status -eq 1 ] && grep -q '^wrong:1: ' message || fail "a wrong subscriber: status $status"
echo "abacus: ok"
