"""IPv4, IPv6 and TCP as bytes: made by hand, so that anything can be wrong in them."""
import socket
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
FLAG = dict(F=FIN, S=SYN, R=RST, P=PSH, A=ACK, U=URG, E=ECE, C=CWR)

# Options of a TCP header.
NOP = b"\1"
SACK_OK = b"\4\2"


def mss(value):
    return struct.pack("!BBH", 2, 4, value)


def scale(shift):
    return bytes((3, 3, shift))


def timestamps(value, echo):
    return NOP + NOP + struct.pack("!BBII", 8, 10, value & 0xffffffff, echo & 0xffffffff)


def flags(text):
    return sum(FLAG[letter] for letter in text)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp(source, destination, sport, dport, seq, ack, flag_bits, payload=b"", window=64240, options=b"", urgent=0,
        data_offset=None, reserved=0, sum_error=0):
    """A TCP segment; `data_offset` in words, if it is not to be the right one."""
    options += b"\0" * (-len(options) % 4)
    offset = 5 + len(options) // 4 if data_offset is None else data_offset
    header = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, offset << 4 | reserved,
                         flag_bits, window, 0, urgent) + options
    segment = header + payload
    # RFC 8200 §8.1 has the same fields, wider: the sum is the same.
    pseudo = source + destination + struct.pack("!BBH", 0, 6, len(segment))
    total = (checksum(pseudo + segment) + sum_error) & 0xffff
    return segment[:16] + struct.pack("!H", total) + segment[18:]


def ip(source, destination, ident, payload, ttl=64, offset=0, more=False, bits=0, options=b"", sum_error=0,
       length=None, protocol=6, header_words=None):
    """An IPv4 datagram; `offset` in bytes, `bits` 4: the reserved one, 2: DF."""
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4
    total = words * 4 + len(payload) if length is None else length
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | (words if header_words is None else header_words), 0, total, ident,
                         bits << 13 | more << 13 | offset // 8, ttl, protocol, 0, source, destination) + options
    total = (checksum(header) + sum_error) & 0xffff
    return header[:10] + struct.pack("!H", total) + header[12:] + payload


def ip6(source, destination, ident, payload, hop_limit=64, first=6, headers=b"", length=None):
    """An IPv6 datagram; `ident` is its flow label, `first` the number of the
    first of the headers in front of the payload."""
    length = len(headers) + len(payload) if length is None else length
    return struct.pack("!IHBB16s16s", 6 << 28 | ident, length, first, hop_limit, source, destination) + headers + payload


def fragment_header(ident, offset, more, following=6):
    return struct.pack("!BBHI", following, 0, offset | more, ident)


def options_header(*options, following=6):
    """A hop-by-hop or destination options header; padded with one PadN, if need be."""
    body = b"".join(options)
    room = -(2 + len(body)) % 8
    if room:
        body += b"\0" if room == 1 else bytes((1, room - 2)) + bytes(room - 2)
    return bytes((following, (2 + len(body)) // 8 - 1)) + body


def routing_header(kind, left, address, following=6):
    return bytes((following, 2, kind, left)) + bytes(4) + address


def ether(destination, source, payload, kind=0x0800):
    return destination + source + struct.pack("!H", kind) + payload


class Segment:
    """What is of interest of a TCP segment in a frame."""

    def __init__(self, frame):
        if frame[14] >> 4 == 6:
            head = 54
            end = 54 + struct.unpack("!H", frame[18:20])[0]
        else:
            head = 14 + (frame[14] & 15) * 4
            end = 14 + struct.unpack("!H", frame[16:18])[0]
        (self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window) = struct.unpack(
            "!HHIIBBH", frame[head:head + 16])
        self.options = frame[head + 20:head + (offset >> 4) * 4]
        self.payload = frame[head + (offset >> 4) * 4:end]
        self.length = len(self.payload) + (self.flags & SYN != 0) + (self.flags & FIN != 0)

    @staticmethod
    def parse(frame):
        if frame[12:14] == b"\x86\xdd" and frame[20] == 6:
            return Segment(frame)
        if frame[12:14] != b"\x08\x00" or frame[23] != 6 or frame[20:22] not in (b"\0\0", b"\x40\0"):
            return None
        return Segment(frame)

    def timestamp(self):
        at = 0
        while at < len(self.options) and self.options[at] != 0:
            if self.options[at] == 1:
                at += 1
                continue
            if self.options[at] == 8:
                return struct.unpack("!II", self.options[at + 2:at + 10])
            at += self.options[at + 1]
        return None


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


class Pcap:
    """A file of frames with nanoseconds."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(struct.pack("=IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))

    def add(self, time_ns, frame):
        self.file.write(struct.pack("=IIII", time_ns // 10**9, time_ns % 10**9, len(frame), len(frame)) + frame)

    def close(self):
        self.file.close()
