"""Writes traces of made-up TCP conversations, for the tests of the ports.

A test composes the conversation packet by packet, so it knows to the byte
what a middlebox has to say about it:

    trace = Trace()
    web = Conversation(trace, "10.0.0.1", 40000, "10.0.0.2", 80)
    web.handshake()
    web.send(CLIENT, b"GET / HTTP/1.1\\r\\n\\r\\n")
    web.repeat(CLIENT, 0, b"GET ")         # a retransmission
    web.close()
    trace.write("web.pcap")

Packets are Ethernet with IPv4 or IPv6, checksums right; one packet each
millisecond; `trace.clock` (microseconds) makes pauses.
"""

import ipaddress
import struct

CLIENT, SERVER = 0, 1
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Trace:
    """The packets of a capture, in their order."""

    def __init__(self, start=1_700_000_000):
        self.clock = start * 1_000_000  # microseconds
        self.frames = []

    def add(self, frame):
        self.frames.append((self.clock, frame))
        self.clock += 1000

    def write(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for microseconds, frame in self.frames:
                file.write(struct.pack("=IIII", microseconds // 1_000_000,
                                       microseconds % 1_000_000, len(frame), len(frame)))
                file.write(frame)


class Conversation:
    """One connection. Offsets count bytes of a side's stream from 0, the first
    after its SYN; `next` is what each side sends next."""

    def __init__(self, trace, client, client_port, server, server_port,
                 isn=(1000, 5_000_000), window=65535):
        self.trace = trace
        self.address = (ipaddress.ip_address(client), ipaddress.ip_address(server))
        self.port = (client_port, server_port)
        self.isn = isn
        self.window = window
        self.next = [0, 0]
        self.identification = 0

    def packet(self, side, flags, sequence, acknowledgement, payload=b"", options=b""):
        """One packet with every number given."""
        other = 1 - side
        source, destination = self.address[side], self.address[other]
        header = struct.pack("!HHIIBBHHH", self.port[side], self.port[other],
                             sequence & 0xFFFFFFFF, acknowledgement & 0xFFFFFFFF,
                             (5 + len(options) // 4) << 4, flags, self.window, 0, 0) + options
        pseudo = source.packed + destination.packed
        if source.version == 4:
            pseudo += struct.pack("!HH", 6, len(header) + len(payload))
        else:
            pseudo += struct.pack("!II", len(header) + len(payload), 6)
        total = checksum(pseudo + header + payload)
        segment = header[:16] + struct.pack("!H", total) + header[18:] + payload
        self.identification = (self.identification + 1) & 0xFFFF
        if source.version == 4:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment),
                             self.identification, 0x4000, 64, 6, 0)
            ip += source.packed + destination.packed
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
            ethertype = 0x0800
        else:
            ip = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64)
            ip += source.packed + destination.packed
            ethertype = 0x86DD
        mac = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
        self.trace.add(mac[other] + mac[side] + struct.pack("!H", ethertype) + ip + segment)

    def acknowledgement(self, side):
        """What `side` acknowledges: all that the other has sent."""
        return self.isn[1 - side] + 1 + self.next[1 - side]

    def handshake(self):
        self.packet(CLIENT, SYN, self.isn[CLIENT], 0, options=b"\x02\x04\x05\xb4")
        self.packet(SERVER, SYN | ACK, self.isn[SERVER], self.isn[CLIENT] + 1,
                    options=b"\x02\x04\x05\xb4")
        self.packet(CLIENT, ACK, self.isn[CLIENT] + 1, self.isn[SERVER] + 1)

    def segment(self, side, offset, data):
        """Data at an offset, new or not, without an answer."""
        self.packet(side, PSH | ACK, self.isn[side] + 1 + offset,
                    self.acknowledgement(side), data)
        self.next[side] = max(self.next[side], offset + len(data))

    def acknowledge(self, side):
        """A bare acknowledgement sent by `side`."""
        self.packet(side, ACK, self.isn[side] + 1 + self.next[side],
                    self.acknowledgement(side))

    def send(self, side, data, mss=1460):
        """New data in segments, each acknowledged."""
        for start in range(0, len(data), mss):
            self.segment(side, self.next[side], data[start:start + mss])
            self.acknowledge(1 - side)

    def repeat(self, side, offset, data):
        """A retransmission (its bytes may lie), acknowledged once more."""
        self.segment(side, offset, data)
        self.acknowledge(1 - side)

    def close(self, first=CLIENT):
        """FIN, ACK, FIN, ACK."""
        for side in (first, 1 - first):
            self.packet(side, FIN | ACK, self.isn[side] + 1 + self.next[side],
                        self.acknowledgement(side))
            self.next[side] += 1
            self.acknowledge(1 - side)

    def reset(self, side):
        self.packet(side, RST | ACK, self.isn[side] + 1 + self.next[side],
                    self.acknowledgement(side))
