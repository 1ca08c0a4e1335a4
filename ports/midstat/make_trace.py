#!/usr/bin/env python3
"""The trace of midstat's test: how connections can look when it is over."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testing"))
from tcptrace import CLIENT, SERVER, SYN, Conversation, Trace

trace = Trace()

closed = Conversation(trace, "10.1.0.1", 40001, "10.2.0.1", 80)
closed.handshake()
closed.send(CLIENT, b"hello")
closed.send(SERVER, b"world")
closed.close(CLIENT)

still_open = Conversation(trace, "10.1.0.2", 40002, "10.2.0.1", 443)
still_open.handshake()
still_open.send(CLIENT, b"x" * 3000)

trace.clock += 3_000_000  # long enough to be seen alive

half_closed = Conversation(trace, "10.1.0.3", 40003, "10.2.0.1", 22)
half_closed.handshake()
half_closed.packet(CLIENT, 0x11, half_closed.isn[CLIENT] + 1, half_closed.isn[SERVER] + 1)
half_closed.next[CLIENT] += 1
half_closed.acknowledge(SERVER)

unanswered = Conversation(trace, "10.1.0.4", 40004, "10.2.0.9", 81)
unanswered.packet(CLIENT, SYN, 7, 0)

v6 = Conversation(trace, "2001:db8:1::1", 40005, "2001:db8:ffff:ffff:ffff:ffff:ffff:2", 80)
v6.handshake()

trace.write(sys.argv[1])
