"""The laboratory of the evasion test: three network namespaces,

    attacker  tap 1  ---  router  ---  tap 2  host

The host's end of a connection is a socket of the real kernel, and this program
is the one that reads it. The attacker's end is made here, packet by packet:
its namespace has no address, so that no kernel interferes. Tap 1 is at the
attacker and has everything in the order in which it left and came in there,
tap 2 is at the host. One thread does all of it, so that a run is the same each
time.
"""
import ctypes
import errno
import os
import select
import socket
import struct
import time

import wire

ATTACKER, HOST = wire.address("10.66.1.2"), wire.address("10.66.2.2")
HOST_TEXT, ATTACKER_TEXT = "10.66.2.2", "10.66.1.2"
HOST6_TEXT = "fd66:2::2"
ATTACKER6, HOST6 = wire.address("fd66:1::2"), wire.address(HOST6_TEXT)
ATTACKER_MAC = bytes.fromhex("020000000101")
ROUTER_MAC = bytes.fromhex("020000000102")
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL = 3

_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    """Moves this thread; sockets stay where they were made."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(fd, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), namespace)
    finally:
        os.close(fd)


def packet_socket(namespace, interface, sees_outgoing):
    enter(namespace)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    if not sees_outgoing:
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)        # SO_RCVBUFFORCE
    s.bind((interface, 0))
    s.setblocking(False)
    return s


class Lab:
    def __init__(self, attacker, router, host, tap_paths):
        self.host = host
        self.port = packet_socket(attacker, "eth0", False)
        self.tap = packet_socket(host, "eth0", True)
        self.files = [wire.Pcap(path) for path in tap_paths]
        self.last_time = 0
        self.ident = 1
        self.arrived = set()            # IP identifications, or flow labels, seen at the host
        self.inbox = []                 # frames that came to the attacker
        enter(host)

    def collect(self):
        """Takes what has come everywhere; whether there was anything."""
        some = False
        while True:
            try:
                frame = self.tap.recv(65535)
            except BlockingIOError:
                break
            some = True
            self.record(1, frame)
            if frame[26:30] == ATTACKER or frame[22:38] == ATTACKER6:
                self.arrived.add(self.ident_of(frame))
        while True:
            try:
                frame = self.port.recv(65535)
            except BlockingIOError:
                break
            some = True
            self.record(0, frame)
            segment = wire.Segment.parse(frame)
            if segment:
                self.inbox.append(segment)
        return some

    def record(self, number, frame):
        self.last_time = max(self.last_time + 1, time.time_ns())
        # Of IPv6 not what the kernels have to say to their neighbours.
        if frame[12:14] == b"\x08\x00" or {frame[22:38], frame[38:54]} == {ATTACKER6, HOST6}:
            self.files[number].add(self.last_time, frame)

    @staticmethod
    def ident_of(frame):
        return frame[16:18] if frame[12:14] == b"\x86\xdd" else frame[18:20]

    def settle(self, ident=None, patience=1.0):
        """Until the datagram has reached the host, and all is quiet."""
        limit = time.monotonic() + patience
        wanted = struct.pack("!H", ident) if ident is not None else None
        while wanted is not None and time.monotonic() < limit:
            select.select([self.tap, self.port], [], [], 0.002)
            self.collect()
            if wanted in self.arrived:
                break
        for _ in range(2):
            while True:
                select.select([self.tap, self.port], [], [], 0.0025)
                if not self.collect():
                    break

    def inject(self, frame, arrives=True, wait=True):
        """Puts a frame on the wire; `arrives`: it should reach the host. With
        `wait` False the next one leaves before an answer to this comes in."""
        self.record(0, frame)
        self.port.send(frame)
        if wait:
            self.settle(struct.unpack("!H", self.ident_of(frame))[0] if arrives else None)

    def next_ident(self):
        self.ident = self.ident % 65535 + 1
        self.arrived.discard(struct.pack("!H", self.ident))
        return self.ident

    def close(self):
        self.settle()
        for file in self.files:
            file.close()


class Talk:
    """One conversation. Sequence numbers of the methods are relative: 0 is the
    first byte behind the SYN, for both ends."""

    def __init__(self, lab, number, isn=1000000, ts=False, options=None, host_connects=False, reads=True,
                 sockopts=(), mss=1460, sack=True, wscale=7, listener=None, v6=False):
        self.lab = lab
        self.v6 = v6
        self.host_port = 7000 + number
        self.port = 30000 + number
        self.isn = isn & 0xffffffff
        self.host_isn = None
        self.ts = 1000000 if ts else None       # our clock, moved by hand
        self.ts_host = 0
        self.options = options
        self.mss, self.sack, self.wscale = mss, sack, wscale
        self.next = 0                           # what we send next
        self.host_next = 0                      # what the host sends next
        self.reads = reads
        self.results = []                       # of earlier connections: (bytes, end)
        self.program = None
        self.got = b""
        self.ended = None
        self.seen = []
        self.listener = None
        self.host_connects = host_connects
        enter(lab.host)
        if host_connects:
            self.program = self._socket(sockopts)
            self.program.bind((HOST_TEXT, self.host_port))
            try:
                self.program.connect((ATTACKER_TEXT, self.port))
            except BlockingIOError:
                pass
            lab.settle()
            self.hear()
        else:
            self.listener = listener or self._socket(sockopts, v6)
            if not listener:
                self.listener.bind((HOST6_TEXT if v6 else HOST_TEXT, self.host_port))
                self.listener.listen(8)

    @staticmethod
    def _socket(sockopts, v6=False):
        s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in sockopts:
            s.setsockopt(level, option, value)
        return s

    # ---- the attacker ---------------------------------------------------

    def hear(self):
        """Takes the host's segments of this conversation; returns them."""
        mine = [s for s in self.lab.inbox if s.sport == self.host_port and s.dport == self.port]
        self.lab.inbox.clear()
        for s in mine:
            if s.flags & wire.SYN and self.host_isn is None:
                self.host_isn = s.seq
            if self.host_isn is not None and not s.flags & wire.RST:
                end = (s.seq + s.length - self.host_isn - 1) & 0xffffffff
                if end < 1 << 31:
                    self.host_next = max(self.host_next, end)
            stamp = s.timestamp()
            # What is echoed: not that of an ACK that refuses a handshake.
            if stamp and (s.flags & wire.SYN or self.program is not None):
                self.ts_host = stamp[0]
        self.seen += mine
        return mine

    def segment(self, data=b"", seq=None, ack=None, flags="PA", opts=None, ts=None, window=64240, **more):
        """The bytes of a TCP segment."""
        seq = self.next if seq is None else seq
        absolute = self.isn + (0 if "S" in flags else 1) + seq
        if ack is None:
            ack = self.host_next
        answer = ((self.host_isn or 0) + 1 + ack) if "A" in flags else 0
        if opts is None:
            opts = b""
            if self.ts is not None and ts is not False:
                opts = wire.timestamps(self.ts if ts is None else ts, self.ts_host)
        ends = (ATTACKER6, HOST6) if self.v6 else (ATTACKER, HOST)
        return wire.tcp(*ends, self.port, self.host_port, absolute, answer, wire.flags(flags), data,
                        window=window, options=opts, **more)

    def frame(self, ident, payload, mac=ROUTER_MAC, pad=b"", **ip):
        if self.v6:
            return wire.ether(mac, ATTACKER_MAC, wire.ip6(ATTACKER6, HOST6, ident, payload, **ip) + pad, 0x86dd)
        return wire.ether(mac, ATTACKER_MAC, wire.ip(ATTACKER, HOST, ident, payload, **ip) + pad)

    def send(self, data=b"", seq=None, arrives=True, ip=None, move=None, mac=ROUTER_MAC, pad=b"", wait=True, **more):
        """Sends one segment. What begins where we are moves us on, unless
        `move` says otherwise."""
        flag_text = more.get("flags", "PA")
        if move is None:
            move = (seq is None or seq == self.next) and "R" not in flag_text and "S" not in flag_text
        segment = self.segment(data, seq, **more)
        self.lab.inject(self.frame(self.lab.next_ident(), segment, mac, pad, **(ip or {})), arrives, wait)
        if move:
            self.next += len(data) + ("F" in flag_text)
        return self.hear()

    def evil(self, data=b"EVIL", **more):
        """A segment that the attacker wants only the monitor to take."""
        more.setdefault("move", False)
        return self.send(data, **more)

    def fragments(self, data, pieces, seq=None, move=True, arrives=True, ip=(), behind=b"", following=6, **more):
        """Sends one segment as fragments: (from, to[, other bytes]), in the
        bytes of the datagram behind the IP header. `ip`: for each of them what
        its IP header has, or None; `behind`: IPv6 headers to be fragmented,
        `following` their first one's number."""
        whole = behind + self.segment(data, seq, **more)
        ident = self.lab.next_ident()
        for number, piece in enumerate(pieces):
            start, end = piece[0], min(piece[1], len(whole))
            part = piece[2] if len(piece) > 2 else whole[start:end]
            last = piece[3] if len(piece) > 3 else end >= len(whole)
            header = dict(ip[number] or {}) if number < len(ip) else {}
            if self.v6:
                part = wire.fragment_header(ident, start, not last, following) + part
                header.setdefault("first", 44)
            else:
                header.update(offset=start, more=not last)
            self.lab.inject(self.frame(ident, part, **header), arrives)
        if move:
            self.next += len(data)
        return self.hear()

    def syn_options(self):
        opts = wire.mss(self.mss)
        if self.sack:
            opts += wire.NOP + wire.NOP + wire.SACK_OK
        if self.ts is not None:
            opts += wire.timestamps(self.ts, 0)
        if self.wscale is not None:
            opts += wire.NOP + wire.scale(self.wscale)
        return opts if self.options is None else self.options

    def syn(self, data=b"", flags="S", isn=None, **more):
        if isn is not None:
            self.isn = isn & 0xffffffff
        more.setdefault("opts", self.syn_options())
        return self.send(data, seq=0, flags=flags, move=False, **more)

    def handshake(self, **more):
        """To ESTABLISHED, from either end."""
        if self.host_connects:
            self.syn(flags="SA", **more)
        else:
            self.syn(**more)
            self.send(flags="A")
        self.accept()
        return self

    def again(self, isn, port=None):
        """A new connection on the same addresses, by the same listener."""
        self.finish()
        self.isn, self.host_isn = isn & 0xffffffff, None
        self.next = self.host_next = 0
        self.got, self.ended, self.program = b"", None, None

    # ---- the program on the host ------------------------------------------

    def accept(self):
        if self.program is None:
            try:
                self.program, _ = self.listener.accept()
                self.program.setblocking(False)
            except BlockingIOError:
                pass
        return self.program is not None

    def read(self, limit=1 << 20):
        """The program reads all that there is, at most `limit` bytes."""
        self.accept()
        if self.program is None or self.ended:
            return
        while limit > 0:
            try:
                part = self.program.recv(min(65536, limit))
            except BlockingIOError:
                break
            except OSError as error:
                self.ended = {errno.ECONNRESET: "reset", errno.ECONNREFUSED: "refused"}.get(
                    error.errno, errno.errorcode[error.errno])
                break
            if not part:
                self.ended = "closed"
                break
            self.got += part
            limit -= len(part)
        self.lab.settle()
        self.hear()

    def write(self, data):
        """The program writes."""
        self.accept()
        self.program.send(data)
        self.lab.settle()
        return self.hear()

    def hang_up(self, how=socket.SHUT_WR):
        self.program.shutdown(how)
        self.lab.settle()
        return self.hear()

    def never_connected(self):
        """Whether the program that connects still waits for the handshake."""
        state = self.program.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state in (2, 3)          # SYN_SENT, SYN_RECV

    def finish(self):
        """The verdict on the connection so far is added to the results."""
        if self.host_connects and self.program is not None:
            error = self.program.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.ended = {errno.ECONNRESET: "reset", errno.ECONNREFUSED: "refused"}.get(
                    error, errno.errorcode[error])
            elif self.never_connected():
                self.results.append((b"", "none"))
                self.keep_quiet()
                return
        self.read()
        if self.ended == "closed" and self.program.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.ended = "closed, reset"
        if self.program is None:
            self.results.append((b"", "none"))
        else:
            self.results.append((self.got, self.ended or "open"))
            # Without a word to the attacker, nor into the capture.
            self.keep_quiet()

    def keep_quiet(self):
        self.graveyard = getattr(self, "graveyard", [])
        self.graveyard.append(self.program)
