#!/usr/bin/env python3
"""Makes a trace from a description of its packets.

    make_trace.py CASE.packets OUT.pcap

One packet a line: who sends it (c: 10.0.0.1:40000, s: 10.0.0.2:80), its flags
(letters of S F R P A U, or -), and what else is not as usual:

    seq= ack=      numbers (default 0)
    len=           bytes of payload (default 0); the byte with number n is
                   always the same, unless fill=X says that all are X
    win=           window as in the header (default 65535)
    ws= mss=       options of a SYN
    ts=VALUE,ECHO  timestamps
    t=             seconds after the packet before (default 0.001)
    cap=           bytes of the frame that the capture kept

Blank lines and lines that begin with # are comments."""
import struct
import sys

ADDRESS = {"c": bytes([10, 0, 0, 1]), "s": bytes([10, 0, 0, 2])}
PORT = {"c": 40000, "s": 80}
FLAG = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "-": 0}


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def content(number, count):
    return bytes(33 + (n * 7 + (n >> 8) * 13) % 90 for n in range(number, number + count))


def packet(sender, flags, fields):
    receiver = "s" if sender == "c" else "c"
    number = int(fields.get("seq", 0))
    size = int(fields.get("len", 0))
    options = b""
    if "mss" in fields:
        options += struct.pack(">BBH", 2, 4, int(fields["mss"]))
    if "ws" in fields:
        options += struct.pack(">BBBB", 1, 3, 3, int(fields["ws"]))
    if "ts" in fields:
        value, echo = (int(x) for x in fields["ts"].split(","))
        options += struct.pack(">BBBBII", 1, 1, 8, 10, value, echo)
    payload = fields["fill"].encode() * size if "fill" in fields else content(number, size)
    tcp = struct.pack(
        ">HHIIBBHHH", PORT[sender], PORT[receiver], number & 0xFFFFFFFF, int(fields.get("ack", 0)) & 0xFFFFFFFF,
        (20 + len(options)) // 4 << 4, sum(FLAG[f] for f in flags), int(fields.get("win", 65535)), 0, 0) + options
    pseudo = ADDRESS[sender] + ADDRESS[receiver] + struct.pack(">HH", 6, len(tcp) + size)
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp + payload)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + size, 0, 0x4000, 64, 6, 0) + ADDRESS[sender] + ADDRESS[receiver]
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return bytes(12) + b"\x08\0" + ip + tcp + payload


def main():
    time = 1_700_000_000_000_000
    with open(sys.argv[1]) as source, open(sys.argv[2], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for at, line in enumerate(source, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            try:
                fields = dict(word.split("=", 1) for word in words[2:])
                frame = packet(words[0], words[1], fields)
            except (ValueError, KeyError, IndexError) as error:
                sys.exit(f"{sys.argv[1]}:{at}: {error!r}")
            time += round(float(fields.get("t", 0.001)) * 1e6)
            kept = frame[:int(fields.get("cap", len(frame)))]
            out.write(struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(kept), len(frame)) + kept)


main()
