#!/usr/bin/env python3
"""Compares what the programs read with what the application saw at each tap.

    compare.py RATES COUNT client.rows server.rows client.watch server.watch

Prints TAP lines, one for each tap and loss rate and one for each promise that
is not about single conversations, and a table on lines that begin with "#".
"""
import sys

CLIENT_PORT, SERVER_PORT = 20000, 9000
rates = sys.argv[1].split(",")
count = int(sys.argv[2])
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


client, server = programs(sys.argv[3]), programs(sys.argv[4])
total = len(rates) * count
empty = (0, "cbf29ce484222325")

# The conversations themselves: what one program wrote, the other one read.
wrong = []
for n in range(total):
    mode = client[n][0]
    ends = (client[n][3], server[n][3])
    wanted = {"client-aborts": ("aborted", "rst"), "server-aborts": ("rst", "aborted")}.get(mode, ("eof", "eof"))
    if ends != wanted or client[n][1] != server[n][2] or server[n][1] != client[n][2]:
        wrong.append(f"{n}: client {client[n]} server {server[n]}")
check(f"{total} conversations: each program read what the other one wrote, and ended as planned", not wrong, *wrong)

table = []
for tap, path in (("before the loss of the client's segments", sys.argv[5]),
                  ("behind it", sys.argv[6])):
    rows, stats = watched(path)
    side = "client" if path == sys.argv[5] else "server"
    for rate in range(len(rates)):
        matched, wrong, sizes = 0, [], [0, 0]
        for n in range(rate * count, rate * count + count):
            flows = rows.get(n, [])
            # A SYN that came twice may make a flow of its own, without data.
            real = [f for f in flows if f["c2s"] != empty or f["s2c"] != empty] or flows[:1]
            aborted = client[n][0].endswith("aborts")
            if len(real) != 1:
                wrong.append(f"{n} {client[n][0]}: {len(real)} flows with data")
            elif real[0]["c2s"] != server[n][2]:
                wrong.append(f"{n} {client[n][0]}: server's program {server[n][2]}, application {real[0]}")
            elif real[0]["s2c"] != client[n][2]:
                wrong.append(f"{n} {client[n][0]}: client's program {client[n][2]}, application {real[0]}")
            elif real[0]["wrong"]:
                wrong.append(f"{n} {client[n][0]}: bytes that nobody sent: {real[0]}")
            elif real[0]["lost"]:
                wrong.append(f"{n} {client[n][0]}: bytes reported as lost: {real[0]}")
            elif (real[0]["end"] == "reset") != aborted or real[0]["end"] not in ("reset", "fin"):
                wrong.append(f"{n} {client[n][0]}: end {client[n][3]}/{server[n][3]}, application {real[0]}")
            else:
                matched += 1
                sizes[0] += real[0]["c2s"][0]
                sizes[1] += real[0]["s2c"][0]
        check(f"tap at the {side}, {rates[rate]} % loss: {matched} of {count} as the programs read them", not wrong, *wrong)
        table.append((side, rates[rate], matched, count, sizes))
    check(f"tap at the {side}: no gap, no overrun, no bad checksum",
          stats and not (stats["gaps"] or stats["overruns"] or stats["bad-checksum"] or stats["no-memory"]), stats)
    print(f"# tap at the {side}: {stats}")

print("# tap     loss   matched  bytes to server  bytes to client")
for side, rate, matched, of, sizes in table:
    print(f"# {side:7} {rate:>3} %  {matched:4}/{of:<4} {sizes[0]:14}  {sizes[1]:14}")
print(f"1..{tests}")
sys.exit(failures != 0)
