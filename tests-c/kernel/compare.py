#!/usr/bin/env python3
"""Compares what the programs read with what the application saw. TAP.

    compare.py taps RATES COUNT client.rows server.rows client.watch server.watch
    compare.py thin RATES COUNT client.rows server.rows PERCENT thin.watch

`taps`: at either tap, every conversation has to be exactly as the programs at
its ends read it. `thin`: in a capture that missed PERCENT of the packets no
byte may be wrong, and what is missing has to be reported as such. Lines that
begin with "#" are a table of what was counted.
"""
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
            wrong=int(w[16])))
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
    if f["wrong"] or f["lost"]:
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


def compare_thin(percent, path):
    rows, stats = watched(path)
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
    compare_thin(sys.argv[6], sys.argv[7])
print(f"1..{tests}")
sys.exit(failures != 0)
