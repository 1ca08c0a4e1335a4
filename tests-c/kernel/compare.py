#!/usr/bin/env python3
"""Compares what the programs read with what the application saw. TAP.

    compare.py taps RATES COUNT client.rows server.rows client.watch server.watch
    compare.py thin RATES COUNT client.rows server.rows PERCENT thin.watch whole.pcap thin.pcap

`taps`: at either tap, every conversation has to be exactly as the programs at
its ends read it. `thin`: in a capture that missed PERCENT of the packets no
byte may be wrong, and what is missing has to be reported as such; where a
server's stream begins may be unknown when the packets that tell were missed.
Lines that begin with "#" are a table of what was counted.
"""
import struct
import sys

CLIENT_PORT, SERVER_PORT = 20000, 9000
task = sys.argv[1]
rates = sys.argv[2].split(",")
count = int(sys.argv[3])
tests = failures = 0


def check(what, good, *why):
    global tests, failures
    tests += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {tests} - {what}")
    if not good:
        for line in list(why)[:10]:
            print(f"#   {line}")


def programs(path):
    """number -> (mode, what it wrote, what it read, how it ended)"""
    rows = {}
    for line in open(path):
        number, mode, _, wrote, wrote_hash, _, read, read_hash, end, time = line.split()
        rows[int(number)] = (mode, (int(wrote), wrote_hash), (int(read), read_hash), end)
    return rows


def watched(path):
    """number -> rows of the flows with that client's port, and the counters"""
    rows, stats = {}, {}
    for line in open(path):
        w = line.split()
        if w[0] == "stats":
            stats = dict(zip(w[1::2], map(int, w[2::2])))
            continue
        number = int(w[0].split(":")[1]) - CLIENT_PORT
        assert int(w[1].split(":")[1]) == SERVER_PORT + number // count, line
        rows.setdefault(number, []).append(dict(
            c2s=(int(w[3]), w[4]), s2c=(int(w[6]), w[7]), end=w[8], states=w[9:11], lost=int(w[12]), errors=int(w[14]),
            wrong=int(w[16]), shift=(int(w[18]), int(w[19]))))
    return rows, stats


def compare_conversations():
    """What one program wrote, the other one read."""
    wrong = []
    for n in range(total):
        ends = (client[n][3], server[n][3])
        wanted = {"client-aborts": ("aborted", "rst"), "server-aborts": ("rst", "aborted")}.get(client[n][0], ("eof", "eof"))
        if ends != wanted or client[n][1] != server[n][2] or server[n][1] != client[n][2]:
            wrong.append(f"{n}: client {client[n]} server {server[n]}")
    check(f"{total} conversations: each program read what the other one wrote, and ended as planned", not wrong, *wrong)


def fault(n, flows):
    """What is wrong with what was seen of a conversation; None: nothing."""
    # A SYN that came twice may make a flow of its own, without data.
    real = [f for f in flows if f["c2s"] != empty or f["s2c"] != empty] or flows[:1]
    end = "reset" if client[n][0].endswith("aborts") else "fin"
    if len(real) != 1:
        return f"{len(real)} flows with data"
    f = real[0]
    if f["c2s"] != server[n][2]:
        return f"server's program {server[n][2]}, application {f}"
    if f["s2c"] != client[n][2]:
        return f"client's program {client[n][2]}, application {f}"
    if f["wrong"] or f["lost"] or f["shift"] != (0, 0):
        return f"bytes that nobody sent, or reported as lost: {f}"
    if f["end"] != end:
        return f"end {client[n][3]}/{server[n][3]}, application {f}"
    return None


def compare_taps(paths):
    table = []
    for side, path in zip(("client", "server"), paths):
        rows, stats = watched(path)
        for rate in range(len(rates)):
            numbers = range(rate * count, rate * count + count)
            faults = {n: fault(n, rows.get(n, [])) for n in numbers}
            wrong = [f"{n} {client[n][0]}: {why}" for n, why in faults.items() if why]
            matched = count - len(wrong)
            check(f"tap at the {side}, {rates[rate]} % loss: {matched} of {count} as the programs read them", not wrong, *wrong)
            table.append((side, rates[rate], matched, sum(server[n][2][0] for n in numbers), sum(client[n][2][0] for n in numbers)))
        check(f"tap at the {side}: no gap, no overrun, no bad checksum, no memory left in use",
              stats and not (stats["gaps"] or stats["overruns"] or stats["bad-checksum"] or stats["no-memory"]
                             or stats["memory-left"]), stats)
        print(f"# tap at the {side}: {stats['packets']} packets, {stats['retransmissions']} retransmissions")
    print("# tap     loss   matched    bytes to server  bytes to client")
    for side, rate, matched, out, back in table:
        print(f"# {side:7} {rate:>3} %  {matched:4}/{count:<4}  {out:14}  {back:14}")


FIN, SYN, ACK = 1, 2, 16


class Segment:
    def __init__(self, frame):
        tcp = 14 + (frame[14] & 15) * 4
        source, target, self.sequence, self.ack = struct.unpack("!HHII", frame[tcp:tcp + 12])
        self.number = max(source, target) - CLIENT_PORT
        self.is_server = source < target
        self.flags = frame[tcp + 13]
        payload = struct.unpack("!H", frame[16:18])[0] + 14 - tcp - (frame[tcp + 12] >> 4) * 4
        self.end = self.sequence + payload + (self.flags & FIN)

    def follows_synack(self):
        return self.flags & (SYN | ACK) == ACK

    def bears_out(self, other):
        return after(self.ack, other.end) >= 0 and after(self.sequence, other.ack) >= 0


def after(a, b):
    """How far the sequence number `a` is behind `b`."""
    return (a - b + 2**31) % 2**32 - 2**31


def segments(path):
    """number -> its segments"""
    found = {}
    with open(path, "rb") as trace:
        trace.read(24)
        while header := trace.read(16):
            frame = trace.read(struct.unpack("=4I", header)[2])
            if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                segment = Segment(frame)
                found.setdefault(segment.number, []).append(segment)
    return found


def range_of_starts(whole, thin):
    """The least and the most bytes of a server's stream that may have passed
    before the first that the thinned trace can tell of: until the client
    answers for the first time, nothing has its place."""
    synack = next(s for s in whole if s.is_server and s.flags & (SYN | ACK) == SYN | ACK)
    first = synack.sequence + 1
    least, most = 0, 65535
    said, has_spoken = [], False        # the client, and whether the server has
    for s in thin:
        if s.is_server and s.flags & SYN:
            return 0, 0
        if s.is_server:
            has_spoken = True
            # Linux has the SYN's number in what it answers to data in a SYN.
            if s.sequence == synack.sequence:
                least = -1
            most = min([most] + [after(earlier.ack, first) for earlier in said if s.bears_out(earlier)])
        elif s.follows_synack() and has_spoken:
            # The client expects that, and has not had it.
            return least, min(most, after(s.ack, first))
        elif s.follows_synack():
            said.append(s)
    return least, most


def compare_thin(percent, path, whole_trace, thin_trace):
    rows, stats = watched(path)
    later = [(n, f) for n, flows in rows.items() for f in flows if f["shift"] != (0, 0)]
    everything, rest = (segments(whole_trace), segments(thin_trace)) if later else ({}, {})
    misplaced = []
    for n, f in later:
        least, most = range_of_starts(everything[n], rest[n])
        if f["shift"][0] or not least <= f["shift"][1] <= most:
            misplaced.append(f"{n}: {least} to {most}, {f}")
    check(f"capture without {percent} % of its packets: streams begin at the first byte that can be told, {len(later)} not at the first",
          not misplaced, *misplaced)
    got = lost = wrong = short = whole = 0
    for n, flows in rows.items():
        length = server[n][2][0] + client[n][2][0]
        whole += length
        got += sum(f["c2s"][0] + f["s2c"][0] for f in flows)
        lost += sum(f["lost"] for f in flows)
        wrong += sum(f["wrong"] for f in flows)
        short += length - sum(f["c2s"][0] + f["s2c"][0] + f["lost"] for f in flows)
    check(f"capture without {percent} % of its packets: no wrong byte, no memory left in use",
          wrong == 0 and stats and stats["memory-left"] == 0, wrong, stats)
    check(f"capture without {percent} % of its packets: {got} of {whole} bytes, {lost} reported as gaps, {short} unknown",
          stats and lost < whole * float(percent) / 100 * 2 and 0 <= short < whole / 200)


client, server = programs(sys.argv[4]), programs(sys.argv[5])
total = len(rates) * count
empty = (0, "cbf29ce484222325")
if task == "taps":
    compare_conversations()
    compare_taps(sys.argv[6:8])
else:
    compare_thin(*sys.argv[6:10])
print(f"1..{tests}")
sys.exit(failures != 0)
