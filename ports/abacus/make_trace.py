#!/usr/bin/env python3
"""make_trace.py TRACE TRUTH HALF: an attack on abacus, and what it must say of it.

Each step of the conversations stands next to what it adds to the account. Two
seconds of silence divide the trace: HALF is the truth up to there.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testing"))
from tcptrace import ACK, CLIENT, PSH, SERVER, Conversation, Trace

COLUMNS = ("connections", "up_bytes", "down_bytes", "up_repeated", "down_repeated",
           "forged_packets", "forged_bytes", "unverified_bytes", "outside_bytes")
truth = {name: dict.fromkeys(COLUMNS, 0) for name in ("alice", "office", "carol", "*")}


def charge(name, **amounts):
    for column, amount in amounts.items():
        truth[name][column] += amount


def pattern(seed, length):
    """Bytes that look like nothing, none of them above 127."""
    value, data = seed, bytearray()
    for _ in range(length):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
        data.append(value >> 16 & 0x7F)
    return bytes(data)


def forged(data):
    """The same length, every byte another."""
    return bytes(byte ^ 0x80 for byte in data)


def write_truth(path):
    with open(path, "w") as file:
        print("subscriber", *COLUMNS, sep=",", file=file)
        for name, row in truth.items():
            print(name, *row.values(), sep=",", file=file)


trace = Trace()

# alice's browser, every kind of repetition once.
web = Conversation(trace, "10.1.0.1", 40001, "192.0.2.80", 80)
up, down = pattern(1, 3500), pattern(2, 20000)
web.handshake()
charge("alice", connections=1)
web.send(CLIENT, up[:3000])
charge("alice", up_bytes=3000)
web.send(SERVER, down[:10000])
charge("alice", down_bytes=10000)
# An honest retransmission.
web.repeat(CLIENT, 0, up[:1460])
charge("alice", up_repeated=1460)
# One that also brings 500 new bytes.
web.repeat(CLIENT, 2500, up[2500:3500])
charge("alice", up_repeated=500, up_bytes=500)
# One with other content throughout.
web.repeat(CLIENT, 100, forged(up[100:300]))
charge("alice", up_repeated=200, forged_packets=1, forged_bytes=200)
# One from the server with 36 wrong bytes of 100.
web.repeat(SERVER, 5000, down[5000:5064] + forged(down[5064:5100]))
charge("alice", down_repeated=100, forged_packets=1, forged_bytes=36)
# A keep-alive probe: the last byte again, as 0.
web.repeat(CLIENT, 3499, b"\0")
charge("alice", up_repeated=1)
# Ahead of a hole, twice, the second time with 10 other bytes; then all of it.
web.segment(SERVER, 11000, down[11000:12000])
charge("alice", down_bytes=1000)
web.segment(SERVER, 11500, forged(down[11500:11510]) + down[11510:12400])
charge("alice", down_repeated=500, down_bytes=400, forged_packets=1, forged_bytes=10)
web.segment(SERVER, 10000, down[10000:11200])
charge("alice", down_repeated=200, down_bytes=1000)
web.acknowledge(CLIENT)
# A retransmission that overlaps both sides of what is acknowledged.
web.repeat(SERVER, 12000, down[12000:13400])
charge("alice", down_repeated=400, down_bytes=1000)
web.close()

# Somebody in the office sends 100 000 bytes for the price of 1000.
tunnel = Conversation(trace, "10.1.0.2", 40002, "192.0.2.66", 443)
cover = pattern(3, 1000)
tunnel.handshake()
charge("office", connections=1)
tunnel.send(CLIENT, cover)
charge("office", up_bytes=1000)
for _ in range(100):
    tunnel.repeat(CLIENT, 0, forged(cover))
    charge("office", up_repeated=1000, forged_packets=1, forged_bytes=1000)
tunnel.reset(CLIENT)

write_truth(sys.argv[3])
trace.clock += 2_000_000

# carol, over IPv6, repeats what is too old to be compared.
six = Conversation(trace, "2001:db8:1::c", 40003, "2001:db8:ffff::1", 80, isn=(2**32 - 5, 2**32 - 100))
large = pattern(4, 600000)
six.handshake()
charge("carol", connections=1)
six.send(SERVER, large)
charge("carol", down_bytes=600000)
six.repeat(SERVER, 0, forged(large[:1000]))
charge("carol", down_repeated=1000, unverified_bytes=1000)
six.close(SERVER)

# Two subscribers with each other: what goes up at one comes down at the other.
pair = Conversation(trace, "10.1.0.1", 40004, "10.1.0.9", 22)
pair.handshake()
charge("alice", connections=1)
charge("office", connections=1)
pair.send(CLIENT, pattern(5, 700))
charge("alice", up_bytes=700)
charge("office", down_bytes=700)
pair.send(SERVER, pattern(6, 90))
charge("alice", down_bytes=90)
charge("office", up_bytes=90)
pair.close()

# Within the office: one account, once.
inside = Conversation(trace, "10.1.0.3", 40005, "10.1.0.9", 22)
inside.handshake()
charge("office", connections=1)
inside.send(CLIENT, pattern(7, 11))
charge("office", up_bytes=11)
inside.close()

# carol once more, from her IPv4 address. 300 islands ahead of a hole, twice; the
# last one is forged.
islands = Conversation(trace, "10.2.0.3", 40007, "192.0.2.80", 80)
sea = pattern(9, 12000)
islands.handshake()
charge("carol", connections=1)
for turn in range(2):
    for start in range(100, 12000, 40):
        land = sea[start:start + 20]
        last = start + 40 >= 12000
        islands.segment(CLIENT, start, forged(land) if turn and last else land)
        charge("carol", **{"up_repeated" if turn else "up_bytes": len(land)})
charge("carol", forged_packets=1, forged_bytes=20)
islands.segment(CLIENT, 0, sea[:110])
charge("carol", up_bytes=100, up_repeated=10)
# It begins one byte before the stream, with what nobody reads.
islands.packet(CLIENT, PSH | ACK, islands.isn[CLIENT], islands.acknowledgement(CLIENT),
               b"\0" + sea[:30])
charge("carol", up_bytes=1, up_repeated=30)
islands.reset(CLIENT)

# The server is in the plot: it acknowledges what was never sent. What the client
# then sends for it, a repeated byte ahead, is no retransmission. A server may
# ignore a reset, too: what follows is outside any connection.
plot = Conversation(trace, "10.1.0.4", 40008, "192.0.2.66", 443)
smuggled = pattern(10, 6000)
plot.handshake()
charge("office", connections=1)
plot.send(CLIENT, smuggled[:1000])
plot.segment(CLIENT, 5000, smuggled[5000:])
plot.acknowledge(SERVER)
charge("office", up_bytes=2000)
plot.repeat(CLIENT, 999, smuggled[999:2400])
charge("office", up_bytes=1400, up_repeated=1)
plot.reset(CLIENT)
plot.segment(CLIENT, 2400, smuggled[2400:3800])
charge("office", outside_bytes=1400)

# Time enough to look at what was exported.
trace.clock += 3_000_000

# Nobody's.
other = Conversation(trace, "198.51.100.1", 40006, "192.0.2.80", 80)
other.handshake()
charge("*", connections=1)
other.send(CLIENT, pattern(8, 123))
charge("*", up_bytes=123)
other.close()

trace.write(sys.argv[1])
write_truth(sys.argv[2])
