#!/bin/sh
# Builds midstat against the installed library (PKG_CONFIG_PATH says which) and
# runs it on traces. Exit status 0: all as it must be.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "midstat: FAILED: $*" >&2; exit 1; }

libdir=$(pkg-config --variable=libdir mos) || fail "pkg-config does not find libmos"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
cp -r "$here/midstat.c" "$here/Makefile" "$here/config" "$work"
cd "$work"

make -s CFLAGS="-O2 -g -Werror"
${CXX:-g++} -x c++ -Wall -Wextra -Werror $(pkg-config --cflags mos) -fsyntax-only midstat.c

# The last states of five connections.
python3 "$here/make_trace.py" made.pcap
MOS_NETDEV="dpdk0=pcap:made.pcap" ./midstat -f config/mos.conf -1 >listed
tr -s ' ' <listed >squeezed
cat >expected <<'END'
Proto CPU Client Address State Server Address State
tcp 0 10.1.0.1:40001 TIME_WAIT 10.2.0.1:80 CLOSED
tcp 0 10.1.0.2:40002 ESTABLISHED 10.2.0.1:443 ESTABLISHED
tcp 0 10.1.0.3:40003 FIN_WAIT_2 10.2.0.1:22 CLOSE_WAIT
tcp 0 10.1.0.4:40004 SYN_SENT 10.2.0.9:81 SYN_RCVD
tcp6 0 [2001:db8:1::1]:40005 ESTABLISHED [2001:db8:ffff:ffff:ffff:ffff:ffff:2]:80 ESTABLISHED
END
diff -u expected squeezed || fail "the list of a made trace (above: -expected +printed)"

# The same once a second of the trace, into a pipe: a table, no escape codes.
MOS_NETDEV="dpdk0=pcap:made.pcap" ./midstat -f config/mos.conf | cat >lines
grep -q '^tcp  *0  10\.1\.0\.2:40002  *ESTABLISHED  *10\.2\.0\.1:443  *ESTABLISHED$' lines ||
    fail "a connection is not listed while it is alive"
if grep -q "$(printf '\033')" lines; then fail "escape codes in a pipe"; fi

# On a terminal: pages on the alternate screen, cut to its width, and it is left.
cat >terminal.py <<'END'
import fcntl, os, pty, re, struct, subprocess, sys, termios

width = int(sys.argv[1])
ours, other = pty.openpty()
fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
process = subprocess.Popen(sys.argv[2:], stdout=other)
os.close(other)
shown = b""
try:
    while piece := os.read(ours, 65536):
        shown += piece
except OSError:         # nobody has the other end any more
    pass
shown = shown.decode()
pages = [page.replace("\r", "").split("\n") for page in shown.split("\033[H")[1:]]
pages = [[re.sub(r"\033\[\??[0-9]*[A-Za-z]", "", line) for line in page] for page in pages]
last = pages[-1] if pages else []
print(shown.replace("\033", "^["), file=sys.stderr)
assert process.wait() == 0
assert shown.startswith("\033[?1049h\033[?25l") and shown.endswith("\033[?25h\033[?1049l"), "alternate screen"
assert len(pages) >= 2, "a page at once, and the next when a second has passed"
assert all(len(line) <= width for page in pages for line in page), "width"
assert re.fullmatch(r"midstat: [1-9]\d* connections?", last[0]), last[0]
assert any(line.startswith("tcp     0  10.1.0.2:40002") for line in last), last
if width >= 80:
    assert any(line.endswith(" ESTABLISHED") for line in last), last
END
for width in 80 50; do
    MOS_NETDEV="dpdk0=pcap:made.pcap" python3 terminal.py $width ./midstat -f config/mos.conf 2>shown ||
        { cat shown >&2; fail "a terminal of $width columns"; }
done

# The connections that the bundled trace is known to have, on one core and on two.
bundled="$here/../../tests-c/traces/web.pcap"
if [ -f "$bundled" ]; then
    MOS_NETDEV="dpdk0=pcap:$bundled" ./midstat -f config/mos.conf -1 >listed
    rows=$(($(wc -l <listed) - 1))
    sed -n 's/^ *"\(client\|server\)": "\(.*\)",$/\2/p' "${bundled%.pcap}.json" | paste -d ' ' - - | sort >true
    awk 'NR > 1 { print $3, $5 }' listed | sort >seen
    [ -s true ] || fail "no connection in web.json"
    diff -u true seen || fail "the connections of web.pcap (above: -true +printed)"
    if [ "$(nproc)" -ge 2 ]; then
        sed 's/dpdk0 0x0001/dpdk0 0x0003/; s/core_mask = 0x0001/core_mask = 0x0003/' \
            config/mos.conf >two.conf
        MOS_NETDEV="dpdk0=pcap:$bundled" ./midstat -f two.conf -1 >listed2
        awk '{ $2 = ""; print }' listed | sort >one
        awk '{ $2 = ""; print }' listed2 | sort >two
        diff -u one two || fail "two cores list other connections than one"
    fi
    echo "midstat: $rows connections in web.pcap"
fi

# What is wrong is said, with a status.
status=0; ./midstat -x 2>/dev/null || status=$?
[ $status -eq 64 ] || fail "status $status for a wrong option"
status=0; ./midstat -f missing.conf 2>message || status=$?
[ $status -eq 1 ] && [ -s message ] || fail "a missing configuration: status $status"
echo "midstat: ok"
