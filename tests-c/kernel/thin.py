#!/usr/bin/env python3
"""Takes packets out of a trace, as a capture that cannot keep up does.

    thin.py PERCENT SEED IN.pcap OUT.pcap
"""
import random
import struct
import sys

percent, source = float(sys.argv[1]), random.Random(int(sys.argv[2]))
with open(sys.argv[3], "rb") as trace, open(sys.argv[4], "wb") as out:
    out.write(trace.read(24))
    while header := trace.read(16):
        frame = trace.read(struct.unpack("=4I", header)[2])
        if source.random() * 100 >= percent:
            out.write(header + frame)
