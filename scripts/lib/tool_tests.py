"""tool_tests.py MOS TOP: what the command-line tool does, as TAP.

MOS is the installed program, TOP the checkout. Everything is made in a
directory of its own.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

mos, top = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.path.insert(0, os.path.join(top, "ports", "testing"))
from tcptrace import CLIENT, SERVER, Conversation, Trace

web = os.path.join(top, "tests-c", "traces", "web.pcap")
truth = json.load(open(os.path.join(top, "tests-c", "traces", "web.json")))
environment = {key: value for key, value in os.environ.items() if not key.startswith("MOS_")}
environment["LC_ALL"] = "C.UTF-8"
number = 0
failed = False


def check(what, condition, *shown):
    global number, failed
    number += 1
    print("ok" if condition else "not ok", number, "-", what, flush=True)
    if not condition:
        failed = True
        for item in shown:
            print("   ", str(item)[:2000])


def run(*arguments, **options):
    """The finished `mos ARGUMENTS`, its output as text."""
    return subprocess.run([mos, *arguments], capture_output=True, text=True, timeout=60,
                          env=environment, **options)


def flows(*arguments, **options):
    """The objects of `mos flows --json`, and the finished process."""
    done = run("flows", "--json", *arguments, **options)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def unique(side):
    """Bytes of the stream: without those that came again."""
    return side["payload_bytes"] - side["retransmitted_bytes"]


os.chdir(tempfile.mkdtemp(prefix="libmos-tool-"))

# ---- flows: the bundled trace against what its programs wrote and read ------
rows, done = flows(web)
check("flows ends with status 0 and says nothing", done.returncode == 0 and not done.stderr, done)
check("a row for each connection", len(rows) == len(truth), rows)
by_client = {"%s:%d" % (row["client"]["address"], row["client"]["port"]): row for row in rows}
for connection in truth:
    row = by_client.get(connection["client"])
    check("web.pcap, %s" % connection["name"],
          row is not None
          and "%s:%d" % (row["server"]["address"], row["server"]["port"]) == connection["server"]
          and unique(row["client"]) == connection["c2s"]["bytes"]
          and unique(row["server"]) == connection["s2c"]["bytes"]
          and row["client"]["gaps"] == row["server"]["gaps"] == 0
          and row["end"] == {"fin": "closed", "rst": "reset", "refused": "reset"}[connection["end"]],
          connection, row)

table = run("flows", web).stdout.splitlines()
check("the table has titles and as many rows", len(table) == 1 + len(truth) and table[0].startswith("START "), table)
check("no blanks at the ends of lines", all(line == line.rstrip() for line in table), table)
check("rows come in the order of their starts", [line.split()[0] for line in table[1:]]
      == sorted(line.split()[0] for line in table[1:]), table)
check("the table tells the same numbers",
      [line.split()[4:8] for line in table[1:]]
      == [[str(row[side][key]) for key in ("payload_bytes", "packets") for side in ("client", "server")]
          for row in sorted(rows, key=lambda row: row["start_ns"])], table)

# ---- flows: retransmissions, gaps and order to the byte ---------------------
trace = Trace()
# Acknowledged but never seen; the bytes come when nobody waits for them any more.
gap = Conversation(trace, "10.0.0.1", 1001, "10.0.0.9", 80)
gap.handshake()
gap.send(CLIENT, b"x" * 10)
gap.send(SERVER, b"a" * 1000)
gap.next[SERVER] = 2000
gap.send(SERVER, b"b" * 1000)
gap.segment(SERVER, 1000, b"c" * 1000)
gap.segment(SERVER, 500, b"a" * 500 + b"c" * 500)
gap.repeat(SERVER, 0, b"a" * 1000)
gap.close()
# Ahead of holes, with overlaps on either side.
holes = Conversation(trace, "2001:db8::3", 1002, "2001:db8::9", 80)
holes.handshake()
for start, end in ((1000, 2000), (1500, 2400), (0, 1200), (3000, 3100), (2000, 3500)):
    holes.segment(SERVER, start, b"a" * (end - start))
holes.acknowledge(CLIENT)
holes.reset(CLIENT)
# Nothing but a SYN.
lone = Conversation(trace, "10.0.0.4", 1003, "10.0.0.9", 81)
lone.packet(CLIENT, 2, 5, 0)
trace.write("made.pcap")
rows, done = flows("made.pcap")
account = {row["client"]["port"]: row for row in rows}


def counters(port, side):
    names = ("payload_bytes", "retransmitted_packets", "retransmitted_bytes", "out_of_order_packets", "gaps", "gap_bytes")
    return tuple(account[port][side][name] for name in names)


check("three connections", sorted(account) == [1001, 1002, 1003], done)
if len(account) == 3:
    check("a gap, and late bytes in it", counters(1001, "server") == (5000, 2, 1500, 1, 1, 1000), counters(1001, "server"))
    check("the other direction", counters(1001, "client") == (10, 0, 0, 0, 0, 0), counters(1001, "client"))
    check("overlaps ahead of holes", counters(1002, "server") == (4700, 3, 1200, 3, 0, 0), counters(1002, "server"))
    check("IPv6 addresses", account[1002]["client"]["address"] == "2001:db8::3", account[1002])
    check("how they ended", [account[port]["end"] for port in (1001, 1002, 1003)] == ["closed", "reset", "open"], rows)
    check("states", (account[1003]["client"]["state"], account[1003]["server"]["state"]) == ("SYN_SENT", "SYN_RCVD"),
          account[1003])

# ---- flows: where traces come from ------------------------------------------
expected = len(truth)
rows, done = flows("-", stdin=open(web))
check("standard input", done.returncode == 0 and len(rows) == expected, done)
os.mkfifo("pipe")
writer = subprocess.Popen("cat '%s' >pipe" % web, shell=True)
rows, done = flows("pipe")
writer.wait()
check("a named pipe", done.returncode == 0 and len(rows) == expected, done)
os.symlink(web, "a name, with = blanks.pcap")
rows, done = flows("a name, with = blanks.pcap")
check("a name that a configuration could misread", done.returncode == 0 and len(rows) == expected
      and rows[0]["trace"] == "a name, with = blanks.pcap", done)
rows, done = flows(web, "made.pcap", web)
check("several traces", done.returncode == 0 and len(rows) == 2 * expected + 3, done)
done = run("flows", web, "made.pcap")
check("… each under its name", [line for line in done.stdout.splitlines() if line.endswith(":")] == [web + ":", "made.pcap:"],
      done.stdout)
environment["MOS_NETDEV"] = "nonsense"
rows, done = flows(web)
check("MOS_NETDEV plays no part", done.returncode == 0 and len(rows) == expected, done)
del environment["MOS_NETDEV"]

# ---- flows: filters ---------------------------------------------------------
first = truth[0]["client"].split(":")
rows, done = flows("--filter", "host %s and port %s" % tuple(first), web)
check("--filter", [row["client"]["address"] for row in rows] == [first[0]], done)
rows, done = flows("--filter", "not (port 80 or port 81)", web)
check("--filter that nothing passes", done.returncode == 0 and rows == [], done)
for expression in ("tcp[13] = 2", "no words of it", "((("):
    done = run("flows", "--filter", expression, web)
    check("--filter '%s' is refused" % expression,
          done.returncode == 64 and expression in done.stderr and not done.stdout, done)

# ---- flows: what is wrong ---------------------------------------------------
bytes_of_web = open(web, "rb").read()
open("text", "w").write("hello, this is not a capture\n")
open("empty", "w")
open("compressed", "wb").write(b"\x1f\x8b\x08\x00" + bytes(20))
open("short", "wb").write(bytes_of_web[:10])
for name in ("missing", "/tmp", "text", "empty", "compressed", "short"):
    done = run("flows", name)
    check("flows %s: status 1, one line, its name" % name, done.returncode == 1 and not done.stdout
          and re.fullmatch(r"mos: %s: .+\n" % re.escape(name), done.stderr) is not None, done)
open("cut", "wb").write(bytes_of_web[:20000])
rows, done = flows("cut")
check("a trace that is cut off: what is in it, status 1, one line", done.returncode == 1 and len(rows) > 0
      and done.stderr.startswith("mos: cut: ") and done.stderr.count("\n") == 1, done)
rows, done = flows(web, "missing", "made.pcap")
check("one of several is missing: the others, status 1", done.returncode == 1 and len(rows) == expected + 3, done)
check("standard input twice is a usage error", run("flows", "-", "-", stdin=open(web)).returncode == 64)
check("no trace is a usage error", run("flows").returncode == 64)
check("an unknown command is a usage error", run("flowers").returncode == 64)
with open("/dev/full", "w") as full:
    for options in ([], ["--json"]):
        done = subprocess.run([mos, "flows", *options, web], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        check("a full disk %s" % options, done.returncode == 1 and "No space left" in done.stderr, done)
process = subprocess.Popen([mos, "flows", "--json"] + [web] * 50, stdout=subprocess.PIPE, env=environment)
process.stdout.readline()
process.stdout.close()
check("a reader that leaves ends it as SIGPIPE does", process.wait(timeout=60) == -signal.SIGPIPE, process.returncode)

# ---- flows: a terminal, and SIGINT ------------------------------------------


def on_terminal(arguments, feed, seconds, interrupt=False, columns=0):
    """What `mos ARGUMENTS` shows on a terminal while `feed` goes down its
    standard input, which then stays open for `seconds`; its status. A terminal
    of 0 columns does not know how wide it is."""
    terminal, other = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([mos, *arguments], stdin=subprocess.PIPE, stdout=other, stderr=other,
                               env=dict(environment, TERM="xterm"))
    os.close(other)
    process.stdin.write(feed)
    process.stdin.flush()
    shown = b""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0 and not process.stdin.closed:
            if interrupt:
                process.send_signal(signal.SIGINT)
            else:
                process.stdin.close()
            end = time.monotonic() + 30
            left = 30
            if interrupt:
                interrupt = False
                continue
        if left <= 0:
            break
        readable, _, _ = select.select([terminal], [], [], left)
        if readable:
            try:
                piece = os.read(terminal, 65536)
            except OSError:     # nobody has the other end any more
                break
            if not piece:
                break
            shown += piece
    if not process.stdin.closed:
        process.stdin.close()
    os.close(terminal)
    return shown.decode(), process.wait(timeout=30)


shown, status = on_terminal(["flows", "-"], bytes_of_web, 2)
lines = [line for line in re.sub(r"[^\n]*\x1b\[K", "", shown).replace("\r", "").split("\n") if line]
check("a terminal sees progress", re.search(r"\r-: [\d.]+ packets, \d+ connections\x1b\[K", shown) is not None, repr(shown))
check("… that is gone in the end, then the table with a sum",
      status == 0 and len(lines) == expected + 2 and lines[-1].startswith("%d connections: " % expected), lines)
for columns, absent in ((200, []), (80, ["DURATION", "PACKETS>", "PACKETS<", "STATES", "REXMIT", "GAPS"])):
    shown, status = on_terminal(["flows", web], b"", 1, columns=columns)
    lines = shown.replace("\r", "").rstrip("\n").split("\n")
    told = [lines.pop()] if absent else []
    check("%d columns: no line of the table is longer" % columns, status == 0 and len(lines) == expected + 2
          and all(len(line) <= columns for line in lines), lines)
    check("%d columns: what is left out is named" % columns, told == (["no room for " + " ".join(absent)] if absent else [])
          and not set(absent) & set(lines[0].split()), lines, told)
shown, status = on_terminal(["flows", "-"], bytes_of_web[:40000], 1.5, interrupt=True)
check("SIGINT: what was seen so far, status 130", status == 130 and "ESTABLISHED" in shown, shown)

# ---- check-config -----------------------------------------------------------
open("good.conf", "w").write("mos {\n    netdev {\n        dpdk0 0x1\n    }\n    max_concurrency = 5000\n}\n")
open("warns.conf", "w").write("mos {\n    netdev {\n        dpdk0 0x1\n    }\n    colour = red\n}\n")
open("bad.conf", "w").write("mos {\n    netdev {\n        dpdk0 0x1\n    }\n    tcp_timeout = soon\n}\n")
done = run("check-config", "good.conf")
check("a good configuration and what is in it", done.returncode == 0 and not done.stderr
      and done.stdout.startswith("good.conf: ok\n") and "5000 for each core" in done.stdout, done)
check("… quietly", run("check-config", "--quiet", "good.conf").stdout == "")
done = run("check-config", "warns.conf")
check("a warning", done.returncode == 0 and done.stderr.startswith("warns.conf:5: "), done)
check("… counts when it is to", run("check-config", "--strict", "warns.conf").returncode == 1)
done = run("check-config", "bad.conf")
check("an error with its line", done.returncode == 1 and not done.stdout and done.stderr.startswith("bad.conf:5: "), done)
done = run("check-config", "missing.conf")
check("a file that is not there", done.returncode == 1 and done.stderr.startswith("missing.conf:"), done)

# ---- the rest ---------------------------------------------------------------
done = run("doctor")
check("doctor looks around", done.returncode == 0 and "libpcap" in done.stdout and "hugepages" in done.stdout, done)
for command in ([], ["flows"], ["check-config"], ["doctor"]):
    done = run(*command, "--help")
    check("%s --help" % " ".join(["mos"] + command), done.returncode == 0 and "USAGE: mos" in done.stdout, done)
for shell in ("bash", "zsh", "fish"):
    done = run("--generate-completion-script", shell)
    check("completions for %s" % shell, done.returncode == 0 and "check-config" in done.stdout, done)
    open("completions." + shell, "w").write(done.stdout)
check("bash takes them", subprocess.run(["bash", "-n", "completions.bash"]).returncode == 0)

print("1..%d" % number)
sys.exit(failed)
