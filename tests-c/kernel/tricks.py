"""The tricks: what an attacker sends so that a monitor and the host disagree.

Each function plays one against the host; `talk()` makes the conversation.
"good" is what an honest client would send, EVIL what only one of the two is
meant to take.
"""
import socket

import wire
from wire import NOP

TRICKS = []
SOL_TCP = socket.IPPROTO_TCP
BOTH = (1, 2)


def trick(group, title, clause, differs=None):
    """`differs`: {tap: cause} where the monitor is known to disagree."""
    def keep(function):
        TRICKS.append(dict(group=group, title=title, clause=clause, differs=differs or {}, play=function))
        return function
    return keep


# ---- below TCP ------------------------------------------------------------

BELOW = "Below TCP"


@trick(BELOW, "plain conversation (for comparison)", "")
def plain(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"good", flags="FPA")


@trick(BELOW, "bad TCP checksum", "RFC 9293 §3.1")
def tcp_checksum(talk):
    t = talk().handshake()
    t.evil(sum_error=1)
    t.send(b"good")


@trick(BELOW, "RST with a bad TCP checksum", "RFC 9293 §3.1")
def rst_checksum(talk):
    t = talk().handshake()
    t.evil(b"", flags="R", sum_error=1)
    t.send(b"good")


@trick(BELOW, "bad IP header checksum", "RFC 1122 §3.2.1.2")
def ip_checksum(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(sum_error=1))
    t.send(b"good")


@trick(BELOW, "data with a TTL that ends at the router", "RFC 791 §3.2",
       {1: "how far it is to the host is not in the packets"})
def low_ttl(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(ttl=1))
    t.send(b"good")


@trick(BELOW, "RST with a TTL that ends at the router", "RFC 791 §3.2",
       {1: "how far it is to the host is not in the packets"})
def low_ttl_rst(talk):
    t = talk().handshake()
    t.evil(b"", flags="R", arrives=False, ip=dict(ttl=1))
    t.send(b"good")


@trick(BELOW, "data to a MAC address that is not the next hop's", "RFC 1122 §2.3.2",
       {1: "which MAC address leads to the host is not in the packets"})
def wrong_mac(talk):
    t = talk().handshake()
    t.evil(arrives=False, mac=bytes.fromhex("0200000000ee"))
    t.send(b"good")


@trick(BELOW, "bytes behind the end of the IP datagram", "RFC 894")
def ethernet_padding(talk):
    t = talk().handshake()
    t.send(b"good", pad=b"EVIL" * 5)
    t.send(b"good")


@trick(BELOW, "IP total length beyond the frame", "RFC 1122 §3.2.1")
def long_total_length(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(length=20 + 20 + 4 + 100))
    t.send(b"good")


@trick(BELOW, "IP header length of 4 words", "RFC 791 §3.1")
def short_ihl(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(header_words=4))
    t.send(b"good")


@trick(BELOW, "IP options: no operation, router alert", "RFC 791 §3.1, RFC 2113")
def ip_options(talk):
    t = talk().handshake()
    t.send(b"good", ip=dict(options=b"\x01\x01\x01\x01"))
    t.send(b"good", ip=dict(options=b"\x94\x04\x00\x00"))


@trick(BELOW, "IP option whose length is 0", "RFC 1122 §3.2.1.8")
def ip_bad_option(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(options=b"\x94\x00\x00\x00"))
    t.send(b"good")


@trick(BELOW, "IP loose source route", "RFC 7126 §4.3")
def source_route(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(options=bytes((131, 7, 4)) + wire.address("10.66.2.2") + b"\0"))
    t.send(b"good")


@trick(BELOW, "IP total length 0", "RFC 791 §3.1")
def no_total_length(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(length=0))
    t.send(b"good")


@trick(BELOW, "IP record route and timestamps, with room and full", "RFC 791 §3.1")
def record_route(talk):
    t = talk().handshake()
    for option in ((7, 11, 4), (7, 7, 8), (7, 7, 250), (68, 12, 5, 0), (68, 12, 13, 0), (68, 20, 5, 1), (68, 12, 13, 0xf3)):
        t.send(b"good", ip=dict(options=bytes(option) + bytes(option[1] - len(option))))


@trick(BELOW, "IP record route whose pointer leaves no room for an address", "RFC 791 §3.1")
def record_route_pointer(talk):
    t = talk().handshake()
    for pointer in (3, 5, 6, 7):
        t.evil(arrives=False, ip=dict(options=bytes((7, 7, pointer, 0, 0, 0, 0))))
    t.send(b"good")


@trick(BELOW, "IP timestamps whose pointer leaves no room for one, or for its address", "RFC 791 §3.1")
def timestamp_pointer(talk):
    t = talk().handshake()
    for pointer, flag in ((4, 0), (10, 0), (10, 2), (9, 1), (9, 3)):
        t.evil(arrives=False, ip=dict(options=bytes((68, 12, pointer, flag)) + bytes(8)))
    t.send(b"good")


@trick(BELOW, "IP timestamps that have overflowed 15 times", "RFC 791 §3.1")
def timestamp_overflow(talk):
    t = talk().handshake()
    for flag in (0, 1, 2):
        t.evil(arrives=False, ip=dict(options=bytes((68, 12, 13, 0xf0 | flag)) + bytes(8)))
    t.send(b"good")


@trick(BELOW, "IP timestamps that overflow for the 15th time at the router", "RFC 791 §3.1",
       {1: "what routers are going to write is not in the packets"})
def timestamp_overflow_later(talk):
    t = talk().handshake()
    t.evil(ip=dict(options=bytes((68, 12, 13, 0xe0)) + bytes(8)))
    t.send(b"good")


@trick(BELOW, "two IP record routes, two timestamps", "RFC 791 §3.1")
def options_twice(talk):
    t = talk().handshake()
    t.evil(arrives=False, ip=dict(options=bytes((7, 7, 4, 0, 0, 0, 0)) * 2))
    t.evil(arrives=False, ip=dict(options=bytes((68, 8, 5, 0, 0, 0, 0, 0)) * 2))
    t.send(b"good")


@trick(BELOW, "reserved bit of the IP header set", "RFC 3514")
def evil_bit(talk):
    t = talk().handshake()
    t.send(b"good", ip=dict(bits=4))
    t.send(b"good", ip=dict(bits=2))


@trick(BELOW, "a segment in fragments, the last one first", "RFC 791 §3.2")
def fragments_reversed(talk):
    t = talk().handshake()
    t.fragments(b"goodgoodgoodgoodgoodgood", [(40, 99), (24, 40), (0, 24)])


@trick(BELOW, "fragments that split the TCP header", "RFC 1858 §3")
def tiny_fragments(talk):
    t = talk().handshake()
    t.fragments(b"goodgoodgood", [(0, 8), (8, 16), (16, 24), (24, 99)])


@trick(BELOW, "fragment that came before, with other bytes", "RFC 815, RFC 5722")
def fragment_duplicate(talk):
    t = talk().handshake()
    t.fragments(b"goodgoodgoodgoodgoodgood", [(24, 40), (24, 40, b"EVIL" * 4, False), (0, 24), (40, 99)])
    t.send(b"good")


@trick(BELOW, "fragments that overlap in part, with other bytes", "RFC 5722 §4")
def fragment_overlap(talk):
    t = talk().handshake()
    t.fragments(b"EVILEVILEVILEVILEVILEVIL", [(24, 40), (32, 48, b"EVIL" * 4, True), (0, 24)], move=False,
                arrives=True)
    t.send(b"good")


@trick(BELOW, "fragment that overwrites the TCP header", "RFC 3128 §4")
def fragment_header_overlap(talk):
    t = talk().handshake()
    t.fragments(b"goodgoodgoodgoodgoodgood", [(0, 24), (8, 16, b"\0" * 8, False), (24, 99)])
    t.send(b"good")


@trick(BELOW, "fragments of which only the second has a source route", "RFC 791 §3.2")
def fragment_source_route(talk):
    t = talk().handshake()
    t.fragments(b"EVILEVIL", [(0, 24), (24, 99)], move=False, arrives=False,
                ip=(None, dict(options=bytes((131, 7, 4)) + wire.address("10.66.2.2") + b"\0")))
    t.send(b"good")


@trick(BELOW, "fragments of which only the second has a bad record route", "RFC 791 §3.2")
def fragment_record_route(talk):
    t = talk().handshake()
    t.fragments(b"EVILEVIL", [(0, 24), (24, 99)], move=False, arrives=False,
                ip=(None, dict(options=bytes((7, 7, 5, 0, 0, 0, 0)))))
    t.send(b"good")


# ---- IPv6 -------------------------------------------------------------------

IPV6 = "IPv6"
HOP_BY_HOP, ROUTING, FRAGMENT, AH, OPTIONS = 0, 43, 44, 51, 60
SKIP, DISCARD = bytes((0x1e, 2, 0, 0)), bytes((0x5e, 2, 0, 0))
header = wire.options_header


def raw_header(*body, following=6):
    """An options header whose options are these bytes."""
    return header(bytes(body), following=following)


def before(first, headers, **more):
    return dict(ip=dict(first=first, headers=headers, **more))


@trick(IPV6, "plain conversation (for comparison)", "")
def ipv6_plain(talk):
    t = talk(v6=True).handshake()
    t.send(b"good")
    t.send(b"good", flags="FPA")


@trick(IPV6, "payload length 0", "RFC 8200 §3")
def ipv6_no_length(talk):
    t = talk(v6=True).handshake()
    t.evil(ip=dict(length=0))
    t.send(b"good")


@trick(IPV6, "payload length 0 before a hop-by-hop header", "RFC 2675 §3, Linux: ip6_rcv_core()")
def ipv6_no_length_options(talk):
    t = talk(v6=True).handshake()
    t.send(b"good", **before(HOP_BY_HOP, header(), length=0))
    t.send(b"good")


@trick(IPV6, "payload length beyond the frame", "RFC 8200 §3")
def ipv6_long_length(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, ip=dict(length=200))
    t.send(b"good")


@trick(IPV6, "hop limit that ends at the router", "RFC 8200 §3",
       {1: "how far it is to the host is not in the packets"})
def ipv6_hop_limit(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, ip=dict(hop_limit=1))
    t.send(b"good")


@trick(IPV6, "padding, options to be skipped, router alert", "RFC 8200 §4.2")
def ipv6_options(talk):
    t = talk(v6=True).handshake()
    for first in (HOP_BY_HOP, OPTIONS):
        t.send(b"good", **before(first, header()))
        t.send(b"good", **before(first, header(SKIP)))
        t.send(b"good", **before(first, header(bytes(6))))
        t.send(b"good", **before(first, header(bytes((5, 2, 0, 0)))))


@trick(IPV6, "unknown options, to be discarded", "RFC 8200 §4.2")
def ipv6_discard(talk):
    t = talk(v6=True).handshake()
    for kind in (0x5e, 0x9e, 0xde):
        t.evil(arrives=False, **before(HOP_BY_HOP, header(bytes((kind, 2, 0, 0)))))
        t.evil(**before(OPTIONS, header(bytes((kind, 2, 0, 0)))))
    t.send(b"good")


@trick(IPV6, "option that ends beyond its header", "RFC 8200 §4.2")
def ipv6_option_overrun(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(0x1e, 20, 0, 0, 0, 0)))
    t.evil(**before(OPTIONS, raw_header(0x1e, 20, 0, 0, 0, 0)))
    t.evil(**before(OPTIONS, raw_header(0x1e, 3, 0, 0, 0, 0x1e)))
    t.send(b"good")


@trick(IPV6, "padding that is not zero", "RFC 4942 §2.1.9.5")
def ipv6_padding_content(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(1, 4, 9, 9, 9, 9)))
    t.evil(**before(OPTIONS, raw_header(1, 4, 9, 9, 9, 9)))
    t.send(b"good")


@trick(IPV6, "more than 7 bytes of padding in a row", "RFC 4942 §2.1.9.5")
def ipv6_padding_length(talk):
    t = talk(v6=True).handshake()
    for body in ((1, 12) + (0,) * 12, (0,) * 14, (0, 1, 5) + (0,) * 5 + (0x1e, 4) + (0,) * 4):
        t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(*body)))
        t.evil(**before(OPTIONS, raw_header(*body)))
    t.send(b"good", **before(OPTIONS, raw_header(*(1, 5) + (0,) * 5 + (0x1e, 1, 0) + (1, 2, 0, 0))))


@trick(IPV6, "eight options in a header, and nine", "Linux: max_dst_opts_number")
def ipv6_option_count(talk):
    t = talk(v6=True).handshake()
    t.send(b"good", **before(HOP_BY_HOP, header(bytes((0x1e, 0)) * 8)))
    t.send(b"good", **before(OPTIONS, header(bytes((0x1e, 0)) * 8)))
    t.evil(arrives=False, **before(HOP_BY_HOP, header(bytes((0x1e, 0)) * 9)))
    t.evil(**before(OPTIONS, header(bytes((0x1e, 0)) * 9)))


@trick(IPV6, "router alert of 3 bytes, IOAM option that is not aligned", "RFC 2711 §2.1, RFC 9486 §3")
def ipv6_option_forms(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, **before(HOP_BY_HOP, header(bytes((5, 3, 0, 0, 0)))))
    t.evil(arrives=False, **before(HOP_BY_HOP, header(bytes((49, 2, 0, 0)))))
    t.send(b"good", **before(HOP_BY_HOP, raw_header(1, 0, 49, 2, 0, 0)))


@trick(IPV6, "home address option", "RFC 6275 §9.3.1")
def ipv6_home_address(talk):
    t = talk(v6=True).handshake()
    t.evil(**before(OPTIONS, header(bytes((1, 2, 0, 0, 0xc9, 16)) + wire.address("fd66:1::2"))))
    t.send(b"good")


@trick(IPV6, "jumbo payload option in a small datagram", "RFC 2675 §3")
def ipv6_jumbo(talk):
    t = talk(v6=True).handshake()
    t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(0xc2, 4, 0, 0, 0, 32)))
    t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(0xc2, 4, 0, 0, 0, 32), length=0))
    t.evil(arrives=False, **before(HOP_BY_HOP, raw_header(0xc2, 4, 0, 1, 0, 0), length=0))
    t.send(b"good")


@trick(IPV6, "several destination options headers", "RFC 8200 §4.1")
def ipv6_many_headers(talk):
    t = talk(v6=True).handshake()
    t.send(b"good", **before(OPTIONS, header(following=OPTIONS) + header()))
    t.send(b"good", **before(OPTIONS, header(following=OPTIONS) * 99 + header()))
    t.evil(**before(OPTIONS, header(following=OPTIONS) + header(DISCARD)))


@trick(IPV6, "hop-by-hop header that is not the first", "RFC 8200 §4.1")
def ipv6_late_hop_by_hop(talk):
    t = talk(v6=True).handshake()
    t.evil(**before(OPTIONS, header(following=HOP_BY_HOP) + header()))
    t.evil(arrives=False, **before(HOP_BY_HOP, header(following=HOP_BY_HOP) + header()))
    t.evil(**before(FRAGMENT, wire.fragment_header(9, 0, False, HOP_BY_HOP) + header()))
    t.send(b"good")


@trick(IPV6, "routing header without segments left", "RFC 8200 §4.4")
def ipv6_routing_done(talk):
    t = talk(v6=True).handshake()
    t.send(b"good", **before(ROUTING, wire.routing_header(0, 0, wire.address("fd66:2::2"))))
    t.send(b"good", **before(ROUTING, wire.routing_header(77, 0, wire.address("fd66:2::2"))))


@trick(IPV6, "routing header with a segment left", "RFC 5095 §3, RFC 8200 §4.4")
def ipv6_routing(talk):
    t = talk(v6=True).handshake()
    for kind in (0, 1, 2, 3, 4, 77):
        t.evil(**before(ROUTING, wire.routing_header(kind, 1, wire.address("fd66:2::2"))))
    t.send(b"good")


@trick(IPV6, "segment routing or RPL header, no segments left", "RFC 8754 §4.3, RFC 6554 §4.2")
def ipv6_segment_routing(talk):
    t = talk(v6=True).handshake()
    for kind in (3, 4):
        t.evil(**before(ROUTING, wire.routing_header(kind, 0, wire.address("fd66:2::2"))))
    t.send(b"good")


@trick(IPV6, "authentication header", "RFC 4302 §3.4.2")
def ipv6_authentication(talk):
    t = talk(v6=True).handshake()
    t.evil(**before(AH, bytes((6, 4)) + bytes(22)))
    t.send(b"good")


@trick(IPV6, "mobility, HIP and shim6 headers", "RFC 8200 §4.7")
def ipv6_other_headers(talk):
    t = talk(v6=True).handshake()
    for number in (135, 139, 140):
        t.evil(**before(number, header()))
    t.send(b"good")


@trick(IPV6, "no next header", "RFC 8200 §4.7")
def ipv6_nothing(talk):
    t = talk(v6=True).handshake()
    t.evil(ip=dict(first=59))
    t.send(b"good")


@trick(IPV6, "atomic fragments", "RFC 6946")
def ipv6_atomic(talk):
    t = talk(v6=True).handshake()
    t.send(b"good", **before(FRAGMENT, wire.fragment_header(9, 0, False)))
    t.send(b"good", **before(FRAGMENT, wire.fragment_header(9, 0, False, OPTIONS) + header()))
    t.evil(**before(FRAGMENT, wire.fragment_header(9, 0, False, FRAGMENT) + wire.fragment_header(9, 0, False)))


@trick(IPV6, "fragments, the last one first, behind options and with options in them", "RFC 8200 §4.5")
def ipv6_fragments(talk):
    t = talk(v6=True).handshake()
    t.fragments(b"goodgood", [(24, 99), (0, 24)])
    t.fragments(b"goodgood", [(0, 24), (24, 99)], ip=[dict(first=OPTIONS, headers=header(following=FRAGMENT))] * 2)
    t.fragments(b"goodgood", [(0, 32), (32, 99)], behind=header(), following=OPTIONS)


@trick(IPV6, "fragments that overlap, with other bytes", "RFC 5722 §4")
def ipv6_fragment_overlap(talk):
    t = talk(v6=True).handshake()
    t.fragments(b"EVILEVILEVILEVILEVILEVIL", [(0, 32), (24, 40, b"EVIL" * 4, False), (32, 99)], move=False)
    t.send(b"good")


@trick(IPV6, "first fragment that does not hold the TCP header", "RFC 7112 §5")
def ipv6_tiny_fragment(talk):
    t = talk(v6=True).handshake()
    t.fragments(b"EVILEVIL", [(0, 16), (16, 99)], move=False)
    t.send(b"good")


@trick(IPV6, "bad option before the first fragment's header", "RFC 8200 §4.5")
def ipv6_fragment_first(talk):
    t = talk(v6=True).handshake()
    t.fragments(b"EVILEVIL", [(0, 24), (24, 99)], move=False,
                ip=(dict(first=OPTIONS, headers=header(DISCARD, following=FRAGMENT)),))
    t.send(b"good")


@trick(IPV6, "bad option before the second fragment's header", "RFC 8200 §4.5")
def ipv6_fragment_second(talk):
    t = talk(v6=True).handshake()
    t.fragments(b"EVILEVIL", [(0, 24), (24, 99)], move=False,
                ip=(None, dict(first=OPTIONS, headers=header(DISCARD, following=FRAGMENT))))
    t.send(b"good")


@trick(IPV6, "routing header with a segment left before the fragment headers", "RFC 8200 §4.5")
def ipv6_fragment_routing(talk):
    t = talk(v6=True).handshake()
    route = dict(first=ROUTING, headers=wire.routing_header(0, 1, wire.address("fd66:2::2"), following=FRAGMENT))
    t.fragments(b"EVILEVIL", [(0, 24), (24, 99)], move=False, ip=(route, route))
    t.send(b"good")


@trick(IPV6, "bad option, routing or hop-by-hop header in what is fragmented", "RFC 8200 §4.5")
def ipv6_fragment_behind(talk):
    t = talk(v6=True).handshake()
    for following, behind in ((OPTIONS, header(DISCARD)), (HOP_BY_HOP, header()),
                              (ROUTING, wire.routing_header(0, 1, wire.address("fd66:2::2")))):
        t.fragments(b"EVILEVIL", [(0, len(behind) + 24), (len(behind) + 24, 99)], move=False, behind=behind,
                    following=following)
    t.send(b"good")


# ---- the TCP header ---------------------------------------------------------

HEADER = "The TCP header"


@trick(HEADER, "data offset below 5 words", "RFC 9293 §3.1")
def offset_short(talk):
    t = talk().handshake()
    t.evil(data_offset=4)
    t.evil(data_offset=0)
    t.send(b"good")


@trick(HEADER, "data offset beyond the segment", "RFC 9293 §3.1")
def offset_long(talk):
    t = talk().handshake()
    t.evil(data_offset=15)
    t.send(b"good")


@trick(HEADER, "data offset that takes all of the payload for options", "RFC 9293 §3.1")
def offset_all(talk):
    t = talk().handshake()
    t.evil(b"EVIL", data_offset=6)
    t.send(b"good")


@trick(HEADER, "options of unknown kinds", "RFC 9293 §3.1")
def options_unknown(talk):
    t = talk().handshake()
    t.send(b"good", opts=bytes((250, 6, 1, 2, 3, 4)) + bytes((251, 2)))


@trick(HEADER, "option whose length is 0 or 1", "RFC 9293 §3.1 (MUST-7)")
def options_zero(talk):
    t = talk().handshake()
    t.send(b"good", opts=bytes((8, 0, 0, 0)))
    t.send(b"good", opts=bytes((250, 1, 0, 0)))


@trick(HEADER, "option that ends beyond the header", "RFC 9293 §3.1 (MUST-7)")
def options_overrun(talk):
    t = talk().handshake()
    t.send(b"good", opts=bytes((250, 200, 0, 0)))


@trick(HEADER, "MD5 signature that nobody agreed on", "RFC 2385 §2")
def md5(talk):
    t = talk().handshake()
    t.evil(opts=NOP + NOP + bytes((19, 18)) + b"M" * 16)
    t.send(b"good")


@trick(HEADER, "RST with an MD5 signature that nobody agreed on", "RFC 2385 §2")
def md5_rst(talk):
    t = talk().handshake()
    t.evil(b"", flags="RA", opts=NOP + NOP + bytes((19, 18)) + b"M" * 16)
    t.send(b"good")


@trick(HEADER, "TCP-AO option that nobody agreed on", "RFC 5925 §7.3")
def tcp_ao(talk):
    t = talk().handshake()
    t.evil(opts=bytes((29, 16, 1, 1)) + b"A" * 12)
    t.send(b"good")


@trick(HEADER, "data without the ACK flag", "RFC 9293 §3.10.7.4, fifth")
def no_ack(talk):
    t = talk().handshake()
    t.evil(flags="P")
    t.send(b"good")


@trick(HEADER, "data without any flag", "RFC 9293 §3.10.7.4, fifth")
def no_flags(talk):
    t = talk().handshake()
    t.evil(flags="")
    t.send(b"good")


@trick(HEADER, "FIN without the ACK flag", "RFC 9293 §3.10.7.4, fifth")
def fin_without_ack(talk):
    t = talk().handshake()
    t.evil(b"", flags="F")
    t.evil(b"EVIL", flags="FPU")
    t.send(b"good")


@trick(HEADER, "reserved bits and ECN bits set", "RFC 9293 §3.1")
def reserved_bits(talk):
    t = talk().handshake()
    t.send(b"good", reserved=14)
    t.send(b"good", flags="PAEC")


@trick(HEADER, "all flags but RST and ACK, all but RST (XMAS)", "RFC 9293 §3.10.7.4, fourth")
def xmas(talk):
    t = talk().handshake()
    t.evil(flags="FSPU", seq=1)
    t.evil(flags="FSPAU", seq=1)
    t.send(b"good")


@trick(HEADER, "all flags", "RFC 9293 §3.10.7.4, second")
def all_flags(talk):
    t = talk().handshake()
    t.evil(flags="FSRPAU", seq=1)
    t.send(b"EVIL")


@trick(HEADER, "urgent byte, read in line by the program", "RFC 6093 §4")
def urgent_inline(talk):
    t = talk(sockopts=((socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),)).handshake()
    t.send(b"goodU", flags="PAU", urgent=5)
    t.send(b"good")


@trick(HEADER, "urgent byte, not read in line by the program", "RFC 6093 §4",
       dict.fromkeys(BOTH, "urgent bytes stay in the stream; whether the program takes them out of it is not in the packets"))
def urgent_out_of_band(talk):
    t = talk().handshake()
    t.send(b"goodU", flags="PAU", urgent=5)
    t.send(b"good")


@trick(HEADER, "urgent pointer beyond the segment, and without the flag", "RFC 6093 §4")
def urgent_beyond(talk):
    t = talk(sockopts=((socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),)).handshake()
    t.send(b"good", flags="PAU", urgent=1000)
    t.send(b"good", flags="PA", urgent=2)


# ---- the handshake ----------------------------------------------------------

OPENING = "The handshake"


@trick(OPENING, "data in the SYN, fast open off", "RFC 9293 §3.10.7.2, RFC 7413 §4.2.2")
def syn_data(talk):
    t = talk()
    t.syn(b"EVIL")
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data in the SYN, fast open off; the client goes on behind it", "RFC 9293 §3.10.7.2")
def syn_data_on(talk):
    t = talk()
    t.syn(b"EVIL")
    t.send(flags="A")
    t.send(b"late", seq=4, move=False)
    t.send(b"good")
    t.next = 8


@trick(OPENING, "data in the SYN, fast open on", "RFC 7413 §4.2.2")
def syn_data_tfo(talk):
    t = talk(sockopts=((SOL_TCP, socket.TCP_FASTOPEN, 8),))
    t.syn(b"good", opts=t.syn_options())
    t.next = 4
    t.send(b"good")


@trick(OPENING, "SYN with FIN", "RFC 9293 §3.10.7.2",
       dict.fromkeys(BOTH, "any SYN without ACK starts a flow, and an ACK of the client means that the SYN/ACK was missed; "
                           "the host's RST ends it"))
def syn_fin(talk):
    t = talk()
    t.syn(flags="SF")
    t.send(flags="A")
    t.send(b"EVIL")


@trick(OPENING, "SYN with RST", "RFC 9293 §3.10.7.2")
def syn_rst(talk):
    t = talk()
    t.syn(flags="SR")
    t.syn()
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "SYN with URG, PSH, ECE and CWR", "RFC 9293 §3.10.7.2")
def syn_urg(talk):
    t = talk()
    t.syn(flags="SPUEC")
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "SYN with a bad checksum and another number first", "RFC 9293 §3.1")
def syn_checksum(talk):
    t = talk()
    t.syn(isn=5000, sum_error=1)
    t.syn(isn=1000000)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data behind the SYN before the SYN/ACK, wrong ACK", "RFC 9293 §3.10.7.4, fifth")
def early_data_wrong_ack(talk):
    t = talk()
    t.syn(wait=False)           # both are on their way before the answer comes
    t.evil(ack=77777)
    t.host_next = 0
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "the same, behind an ACK with that number", "RFC 9293 §3.10.7.4, fifth",
       {1: "where no SYN/ACK has been seen an ACK of the client means that it was missed"})
def early_ack_wrong(talk):
    t = talk()
    t.syn(wait=False)
    t.evil(b"", flags="A", ack=77777, wait=False)
    t.evil(ack=77777)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data behind the SYN before the SYN/ACK, without ACK flag", "RFC 9293 §3.10.7.4, fifth")
def early_data_no_ack(talk):
    t = talk()
    t.syn()
    t.evil(flags="P")
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data before the handshake ends, ACK beyond the SYN/ACK", "RFC 9293 §3.10.7.4, fifth")
def third_wrong_ack(talk):
    t = talk()
    t.syn()
    t.evil(ack=1000)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data before the handshake ends, ACK before the SYN/ACK", "RFC 9293 §3.10.7.4, fifth")
def third_old_ack(talk):
    t = talk()
    t.syn()
    t.evil(ack=-1)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "data and FIN in the packet that ends the handshake", "RFC 9293 §3.10.7.4")
def third_with_data(talk):
    t = talk()
    t.syn()
    t.send(b"good", flags="FPA")


@trick(OPENING, "data ahead of a hole ends the handshake", "RFC 9293 §3.10.7.4")
def third_ahead(talk):
    t = talk()
    t.syn()
    t.send(b"GOOD", seq=4)
    t.accept()
    t.send(b"good", seq=0)


@trick(OPENING, "data beyond the window before the handshake ends", "RFC 9293 §3.10.7.4, first")
def third_beyond(talk):
    t = talk()
    t.syn()
    t.evil(seq=200000)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "RST before the handshake ends, exact", "RFC 9293 §3.10.7.4, second")
def embryonic_rst(talk):
    t = talk()
    t.syn()
    t.evil(b"", flags="R", seq=0)
    t.send(flags="A")
    t.send(b"EVIL")


@trick(OPENING, "RST before the handshake ends, in the window", "RFC 5961 §3.2")
def embryonic_rst_window(talk):
    t = talk()
    t.syn()
    t.evil(b"", flags="R", seq=100)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "RST before the handshake ends, before the window", "RFC 5961 §3.2")
def embryonic_rst_before(talk):
    t = talk()
    t.syn()
    t.evil(b"", flags="R", seq=-1)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "RST before the handshake ends, beyond the window", "RFC 5961 §3.2")
def embryonic_rst_beyond(talk):
    t = talk()
    t.syn()
    t.evil(b"", flags="R", seq=200000)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "RST/ACK before the handshake ends, exact, wrong ACK", "RFC 9293 §3.10.7.4, second")
def embryonic_rst_ack(talk):
    t = talk()
    t.syn()
    t.evil(b"", flags="RA", seq=0, ack=5000)
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "second SYN with another number, beyond the window", "RFC 9293 §3.10.7.4, fourth")
def other_syn(talk):
    t = talk()
    t.syn()
    isn = t.isn
    t.syn(isn=isn + 50000000)
    t.isn = isn
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "SYN with FIN, data without an ACK before it", "RFC 9293 §3.10.7.2")
def syn_fin_data(talk):
    t = talk()
    t.syn(flags="SF")
    t.send(b"EVIL")


@trick(OPENING, "second SYN with another number, in the window", "RFC 9293 §3.10.7.4, fourth")
def other_syn_window(talk):
    t = talk()
    t.syn()
    isn = t.isn
    t.syn(isn=isn + 1000)
    t.isn = isn
    t.send(flags="A")
    t.send(b"EVIL")


@trick(OPENING, "second SYN with the same number and other options", "RFC 9293 §3.10.7.4, fourth")
def same_syn(talk):
    t = talk()
    t.syn()
    t.syn(opts=wire.mss(500))
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "SYN/ACK instead of a SYN, then a SYN", "RFC 9293 §3.10.7.2")
def synack_first(talk):
    t = talk()
    t.send(flags="SA", seq=0, ack=0)
    t.syn()
    t.send(flags="A")
    t.send(b"good")


@trick(OPENING, "conversation without a handshake", "RFC 9293 §3.10.7.2")
def no_handshake(talk):
    t = talk()
    t.send(flags="A")
    t.send(b"EVIL")


@trick(OPENING, "window scale beyond 14", "RFC 7323 §2.3")
def big_scale(talk):
    t = talk(wscale=255).handshake()
    t.write(b"hello")
    t.send(b"good")


# ---- the host as client -----------------------------------------------------

CLIENT = "The host as client"


@trick(CLIENT, "plain conversation (for comparison)", "")
def client_plain(talk):
    t = talk(host_connects=True).handshake()
    t.send(b"good", flags="FPA")


@trick(CLIENT, "data in the SYN/ACK", "RFC 9293 §3.10.7.3")
def synack_data(talk):
    t = talk(host_connects=True)
    t.syn(b"data", flags="SA")
    t.send(b"good")


@trick(CLIENT, "SYN/ACK with a wrong ACK first", "RFC 9293 §3.10.7.3, first")
def synack_wrong_ack(talk):
    t = talk(host_connects=True)
    isn = t.isn
    t.syn(flags="SA", ack=1000, isn=isn + 5000)
    t.syn(flags="SA", isn=isn)
    t.send(b"good")


@trick(CLIENT, "data before the SYN/ACK", "RFC 9293 §3.10.7.3")
def synack_missing(talk):
    t = talk(host_connects=True)
    t.evil(b"EVIL", ack=0)
    t.syn(flags="SA")
    t.send(b"good")


@trick(CLIENT, "data before the SYN/ACK, at other numbers", "RFC 9293 §3.10.7.3")
def synack_missing_else(talk):
    t = talk(host_connects=True)
    t.evil(b"EVIL", ack=0, seq=500000)
    t.syn(flags="SA")
    t.send(b"good")


@trick(CLIENT, "data without ACK flag before the SYN/ACK", "RFC 9293 §3.10.7.3")
def synack_missing_no_ack(talk):
    t = talk(host_connects=True)
    t.evil(b"EVIL", flags="P")
    t.syn(flags="SA")
    t.send(b"good")


@trick(CLIENT, "SYN/ACK with FIN", "RFC 9293 §3.10.7.3")
def synack_fin(talk):
    t = talk(host_connects=True)
    t.syn(b"", flags="SFA")
    t.next = 1
    t.send(b"EVIL")


@trick(CLIENT, "RST in SYN_SENT without ACK", "RFC 9293 §3.10.7.3, second")
def client_rst_no_ack(talk):
    t = talk(host_connects=True)
    t.evil(b"", flags="R")
    t.handshake()
    t.send(b"good")


@trick(CLIENT, "RST in SYN_SENT with a wrong ACK", "RFC 9293 §3.10.7.3, first")
def client_rst_wrong(talk):
    t = talk(host_connects=True)
    t.evil(b"", flags="RA", ack=77)
    t.evil(b"", flags="RA", ack=-1)
    t.handshake()
    t.send(b"good")


@trick(CLIENT, "RST in SYN_SENT with the right ACK, any number", "RFC 9293 §3.10.7.3, second")
def client_rst_right(talk):
    t = talk(host_connects=True)
    t.evil(b"", flags="RA", seq=123456)
    t.syn(flags="SA")
    t.send(b"EVIL")


@trick(CLIENT, "simultaneous open", "RFC 9293 §3.5, figure 8")
def simultaneous(talk):
    t = talk(host_connects=True)
    t.syn(flags="S")
    t.syn(flags="SA")
    t.accept()
    t.send(b"good")


@trick(CLIENT, "simultaneous open, data instead of the SYN/ACK", "RFC 9293 §3.10.7.4, fifth")
def simultaneous_data(talk):
    t = talk(host_connects=True)
    t.syn(flags="S")
    t.send(b"good")


@trick(CLIENT, "simultaneous open, wrong ACK first", "RFC 9293 §3.10.7.4, fifth")
def simultaneous_wrong(talk):
    t = talk(host_connects=True)
    t.syn(flags="S")
    t.evil(b"EVIL", ack=1000)
    t.send(b"good")


@trick(CLIENT, "SYN with data and FIN in SYN_SENT", "RFC 9293 §3.10.7.3, fourth")
def simultaneous_fin(talk):
    t = talk(host_connects=True)
    t.syn(b"EVIL", flags="SF")
    t.syn(flags="SA")
    t.send(b"good")


@trick(CLIENT, "SYN/ACK with another number once established", "RFC 5961 §4")
def second_synack(talk):
    t = talk(host_connects=True).handshake()
    isn = t.isn
    t.syn(flags="SA", isn=isn + 5000)
    t.isn = isn
    t.send(b"good")


@trick(CLIENT, "SYN/ACK that repeats itself with data", "RFC 5961 §4")
def repeated_synack_data(talk):
    t = talk(host_connects=True).handshake()
    t.syn(b"EVIL", flags="SA")
    t.send(b"good")


@trick(CLIENT, "the server acknowledges data never sent", "RFC 9293 §3.10.7.4, fifth")
def client_unsent_ack(talk):
    t = talk(host_connects=True).handshake()
    t.evil(b"EVIL", ack=5000)
    t.send(b"good")


@trick(CLIENT, "half-closed client still reads", "RFC 9293 §3.10.7.4")
def half_closed_client(talk):
    t = talk(host_connects=True).handshake()
    t.hang_up()
    t.send(b"good")
    t.send(b"good", flags="FPA")


# ---- sequence numbers -------------------------------------------------------

SEQUENCE = "Sequence numbers"


@trick(SEQUENCE, "data that repeats what was received, with other bytes", "RFC 9293 §3.10.7.4, first")
def repeat(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", seq=0)
    t.send(b"good")


@trick(SEQUENCE, "repeated before the program has read", "RFC 9293 §3.10.7.4, first")
def repeat_unread(talk):
    t = talk(reads=False).handshake()
    t.send(b"good")
    t.evil(b"EVIL", seq=0)
    t.send(b"good")


@trick(SEQUENCE, "old bytes changed, new ones behind them", "RFC 9293 §3.10.7.4")
def partly_old(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"EVILgood", seq=0)
    t.next = 8


@trick(SEQUENCE, "segment that begins long before the window and ends in it", "RFC 9293 §3.10.7.4")
def long_old(talk):
    t = talk().handshake()
    t.send(b"g" * 1000)
    t.send(b"E" * 1000 + b"good", seq=0)


@trick(SEQUENCE, "segment that begins before the SYN", "RFC 9293 §3.10.7.4")
def before_syn(talk):
    t = talk().handshake()
    t.send(b"EVILgood", seq=-4)


@trick(SEQUENCE, "keep-alive with a garbage byte", "RFC 1122 §4.2.3.6")
def keepalive(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"E", seq=3, flags="A")
    t.evil(b"", seq=3, flags="A")
    t.send(b"good")


@trick(SEQUENCE, "keep-alive with a garbage byte before any data", "RFC 1122 §4.2.3.6")
def keepalive_first(talk):
    t = talk().handshake()
    t.evil(b"E", seq=-1, flags="A")
    t.send(b"good")


@trick(SEQUENCE, "just below the window", "RFC 9293 §3.10.7.4, first")
def just_below(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", seq=0)
    t.evil(b"EVI", seq=0)
    t.send(b"good")


@trick(SEQUENCE, "half of the number space away", "RFC 9293 §3.4")
def half_space(talk):
    t = talk().handshake()
    t.evil(seq=1 << 31)
    t.evil(seq=(1 << 31) - 1)
    t.evil(seq=(1 << 31) + 1)
    t.send(b"good")


@trick(SEQUENCE, "wholly beyond the window", "RFC 9293 §3.10.7.4, first")
def beyond(talk):
    t = talk().handshake()
    t.evil(b"EVIL", seq=100000)
    t.send(b"good")


def window_of(t):
    """Bytes from our next one to the right edge that the host has offered."""
    last = [s for s in t.seen if s.flags & wire.ACK and not s.flags & wire.RST][-1]
    shift = 0 if last.flags & wire.SYN or t.wscale is None else host_scale(t)
    return ((last.ack + (last.window << shift)) - t.isn - 1 - t.next) & 0xffffffff


def host_scale(t):
    options = [s for s in t.seen if s.flags & wire.SYN][0].options
    at = 0
    while at < len(options):
        if options[at] == 1:
            at += 1
        elif options[at] == 3:
            return options[at + 2]
        else:
            at += options[at + 1]
    return 0


SMALL = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)


@trick(SEQUENCE, "first byte right behind the window's edge", "RFC 9293 §3.10.7.4, first")
def behind_edge(talk):
    t = talk(sockopts=SMALL).handshake()
    edge = window_of(t)
    t.evil(b"EVIL", seq=edge)
    t.evil(b"EVIL", seq=edge + 1)
    t.send(b"good")


@trick(SEQUENCE, "last byte at the window's edge, ahead of a hole", "RFC 9293 §3.10.7.4, first")
def at_edge(talk):
    t = talk(sockopts=SMALL).handshake()
    edge = window_of(t)
    t.send(b"good", seq=edge - 4)
    t.send(b"g" * min(edge - 4, 1400))
    while t.next < edge - 4:
        t.send(b"g" * min(edge - 4 - t.next, 1400))
        t.read()


@trick(SEQUENCE, "across the window's edge, everything read before", "Linux: tcp_sequence()")
def across_edge(talk):
    t = talk(sockopts=SMALL).handshake()
    t.send(b"good")
    t.read()
    t.send(b"G" * (window_of(t) + 10))


@trick(SEQUENCE, "across the window's edge, bytes unread before", "Linux: tcp_sequence()")
def across_edge_unread(talk):
    t = talk(sockopts=SMALL, reads=False).handshake()
    t.send(b"good")
    t.evil(b"E" * (window_of(t) + 10))
    t.send(b"good")


@trick(SEQUENCE, "across the window's edge, ahead of a hole", "Linux: tcp_sequence()")
def across_edge_hole(talk):
    t = talk(sockopts=SMALL).handshake()
    edge = window_of(t)
    t.send(b"h" * 40, seq=edge - 20, move=False)
    while t.next < edge - 20:
        t.send(b"g" * min(edge - 20 - t.next, 1000))
        t.read()


@trick(SEQUENCE, "across the window's edge, ahead of a hole, bytes unread", "Linux: tcp_sequence()")
def across_edge_hole_unread(talk):
    t = talk(sockopts=SMALL, reads=False).handshake()
    t.send(b"good")
    edge = t.next + window_of(t)
    t.evil(b"E" * 40, seq=edge - 20)
    t.read()
    while t.next < edge - 20:
        t.send(b"g" * min(edge - 20 - t.next, 1000))
        t.read()
    t.send(b"f" * 20)


@trick(SEQUENCE, "a probe of a closed window with one byte", "RFC 9293 §3.8.6.1")
def zero_window(talk):
    t = talk(sockopts=SMALL, reads=False).handshake()
    while window_of(t) > 0:
        t.send(b"g" * min(window_of(t), 500))
    t.evil(b"E", flags="A")
    t.evil(b"EVIL")
    t.read()
    t.send(b"", flags="A")
    t.send(b"good")


@trick(SEQUENCE, "numbers that wrap, in order", "RFC 9293 §3.4")
def wrap(talk):
    t = talk(isn=0xfffffffb).handshake()
    t.send(b"good")
    t.send(b"goodgood")


@trick(SEQUENCE, "initial number 2³²−1", "RFC 9293 §3.4")
def wrap_syn(talk):
    t = talk(isn=0xffffffff).handshake()
    t.send(b"good")
    t.send(b"good", flags="FPA")


@trick(SEQUENCE, "numbers that wrap inside a hole", "RFC 9293 §3.4")
def wrap_hole(talk):
    t = talk(isn=0xfffffff7).handshake()
    t.send(b"GOODGOOD", seq=12)
    t.send(b"goodgoodgood")


@trick(SEQUENCE, "old bytes on the other side of the wrap, changed", "RFC 9293 §3.4")
def wrap_old(talk):
    t = talk(isn=0xfffffffc).handshake()
    t.send(b"goodgood")
    t.evil(b"EVILEVIL", seq=0)
    t.send(b"good")


# ---- acknowledgements -------------------------------------------------------

ACKS = "Acknowledgements"


@trick(ACKS, "data that acknowledges what was never sent", "RFC 9293 §3.10.7.4, fifth")
def unsent_ack(talk):
    t = talk().handshake()
    t.evil(ack=1)
    t.evil(ack=100000)
    t.send(b"good")


@trick(ACKS, "the same, ahead of a hole", "RFC 9293 §3.10.7.4, fifth")
def unsent_ack_ahead(talk):
    t = talk().handshake()
    t.evil(b"EVIL", seq=4, ack=1000)
    t.send(b"goodgood")


@trick(ACKS, "the host sends later what was acknowledged too early", "RFC 9293 §3.10.7.4, fifth")
def unsent_ack_later(talk):
    t = talk().handshake()
    t.evil(ack=4)
    t.write(b"data")
    t.send(b"", flags="A")
    t.send(b"good")


@trick(ACKS, "acknowledgement before the oldest one allowed", "RFC 5961 §5.2")
def old_ack(talk):
    t = talk().handshake()
    t.evil(ack=-200000)
    t.send(b"good")


@trick(ACKS, "old acknowledgement that is still allowed", "RFC 5961 §5.2")
def oldish_ack(talk):
    t = talk().handshake()
    t.write(b"data")
    t.send(b"", flags="A")
    t.send(b"good", ack=0)


@trick(ACKS, "acknowledgement half of the number space away", "RFC 5961 §5.2")
def far_ack(talk):
    t = talk().handshake()
    t.evil(ack=1 << 31)
    t.evil(ack=(1 << 31) - 1)
    t.send(b"good")


@trick(ACKS, "acknowledgement of the SYN only, one too low", "RFC 5961 §5.2")
def ack_of_nothing(talk):
    t = talk().handshake()
    t.send(b"good", ack=-1)
    t.send(b"good")


@trick(ACKS, "pure ACK of what was never sent, then data", "RFC 9293 §3.10.7.4, fifth")
def pure_unsent_ack(talk):
    t = talk().handshake()
    t.evil(b"", flags="A", ack=100000)
    t.send(b"good")


# ---- timestamps -------------------------------------------------------------

STAMPS = "Timestamps"


@trick(STAMPS, "timestamp older than the last one", "RFC 7323 §5.3 (R1)")
def paws(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(ts=t.ts - 100)
    t.send(b"good")


@trick(STAMPS, "timestamp one below the last one", "RFC 7323 §5.3 (R1), Linux: tcp_paws_check()")
def paws_one(talk):
    t = talk(ts=True).handshake()
    t.ts += 10
    t.send(b"good")
    t.send(b"good", ts=t.ts - 1)
    t.evil(ts=t.ts - 2)
    t.send(b"good")


@trick(STAMPS, "timestamp half of the number space away", "RFC 7323 §5.3 (R1)")
def paws_half(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(ts=t.ts + (1 << 31))
    t.evil(ts=t.ts + (1 << 31) + 1)
    t.send(b"good")


@trick(STAMPS, "old timestamp ahead of a hole", "RFC 7323 §5.3 (R1)")
def paws_ahead(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(b"EVIL", seq=8, ts=t.ts - 100)
    t.send(b"goodGOOD")


@trick(STAMPS, "timestamps that wrap", "RFC 7323 §5.3 (R1)")
def paws_wrap(talk):
    t = talk(ts=True)
    t.ts = 0xfffffffe
    t.handshake()
    t.send(b"good")
    t.ts = 5
    t.send(b"good")
    t.evil(ts=0xfffffffe)
    t.send(b"good")


@trick(STAMPS, "no timestamp where both ends use them", "RFC 7323 §3.2")
def no_timestamp(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.send(b"good", ts=False)


@trick(STAMPS, "timestamps that nobody agreed on", "RFC 7323 §3.2")
def unagreed_timestamp(talk):
    t = talk().handshake()
    t.send(b"good", opts=wire.timestamps(1000, 0))
    t.send(b"good", opts=wire.timestamps(10, 0))


@trick(STAMPS, "a far timestamp on a segment that is not acceptable", "RFC 7323 §4.3")
def paws_poison_beyond(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(seq=200000, ts=t.ts + 1000000)
    t.send(b"good")


@trick(STAMPS, "a far timestamp ahead of a hole", "RFC 7323 §4.3")
def paws_poison_ahead(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.send(b"GOOD", seq=8, ts=t.ts + 1000000)
    t.send(b"good")


@trick(STAMPS, "a far timestamp on old bytes", "RFC 7323 §4.3")
def paws_poison_old(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.send(b"good")
    t.evil(b"EVIL", seq=0, ts=t.ts + 1000000)
    t.send(b"good")


@trick(STAMPS, "a far timestamp on old bytes that touch the window", "RFC 7323 §4.3")
def paws_poison_touch(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.send(b"good")
    t.evil(b"EVIL", seq=4, ts=t.ts + 1000000)
    t.evil(b"EVIL")
    t.ts += 1000000
    t.send(b"good")


@trick(STAMPS, "a far timestamp with a bad acknowledgement", "RFC 7323 §4.3")
def paws_poison_ack(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(ack=100000, ts=t.ts + 1000000)
    t.send(b"good")


@trick(STAMPS, "a far timestamp without the ACK flag", "RFC 7323 §4.3")
def paws_poison_no_ack(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(flags="P", ts=t.ts + 1000000)
    t.send(b"good")


@trick(STAMPS, "a far timestamp with a bad checksum", "RFC 7323 §4.3")
def paws_poison_checksum(talk):
    t = talk(ts=True).handshake()
    t.evil(ts=t.ts + 1000000, sum_error=1)
    t.send(b"good")


@trick(STAMPS, "a far timestamp on a pure ACK in order", "RFC 7323 §4.3")
def paws_pure_ack(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(b"", flags="A", ts=t.ts + 1000000)
    t.evil(b"EVIL")
    t.ts += 1000000
    t.send(b"good")


@trick(STAMPS, "a far timestamp whose TTL ends at the router", "RFC 7323 §4.3")
def paws_poison_ttl(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(b"", flags="A", ts=t.ts + 1000000, arrives=False, ip=dict(ttl=1))
    t.send(b"good")
    t.send(b"good")


@trick(STAMPS, "RST with an old timestamp", "RFC 7323 §5.2")
def paws_rst(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.send(b"", flags="R", ts=t.ts - 1000)


@trick(STAMPS, "FIN with an old timestamp", "RFC 7323 §5.3 (R1)")
def paws_fin(talk):
    t = talk(ts=True).handshake()
    t.send(b"good")
    t.evil(b"", flags="FA", ts=t.ts - 1000)
    t.send(b"good")


@trick(STAMPS, "old timestamp in the packet that ends the handshake", "RFC 7323 §5.3 (R1)")
def paws_third(talk):
    t = talk(ts=True)
    t.syn()
    t.evil(ts=t.ts - 1000)
    t.send(b"good")


@trick(STAMPS, "wrong echo in the packet that ends the handshake", "Linux: tcp_check_req()")
def echo_third(talk):
    t = talk(ts=True)
    t.syn()
    echo = t.ts_host
    t.ts_host = echo + 10
    t.evil()
    t.ts_host = echo - 10
    t.evil()
    t.ts_host = echo
    t.send(b"good")


@trick(STAMPS, "wrong echo once established", "RFC 7323 §3.2")
def echo_later(talk):
    t = talk(ts=True).handshake()
    t.ts_host += 100000
    t.send(b"good")
    t.ts_host -= 200000
    t.send(b"good")


# ---- RST --------------------------------------------------------------------

RESET = "RST"


@trick(RESET, "exact number", "RFC 5961 §3.2")
def rst(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"", flags="R")
    t.send(b"EVIL")


@trick(RESET, "exact number, ACK of what was never sent", "RFC 9293 §3.10.7.4, second")
def rst_ack(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"", flags="RA", ack=100000)
    t.send(b"EVIL")


@trick(RESET, "exact number, with data", "RFC 9293 §3.10.7.4, second")
def rst_data(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"EVIL", flags="RA", move=False)
    t.send(b"EVIL")


@trick(RESET, "one above the exact number", "RFC 5961 §3.2")
def rst_above(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="R", seq=5)
    t.send(b"good")


@trick(RESET, "one below the exact number", "RFC 5961 §3.2")
def rst_below(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="R", seq=3)
    t.send(b"good")


@trick(RESET, "in the middle of the window", "RFC 5961 §3.2")
def rst_window(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="R", seq=20000)
    t.evil(b"", flags="RA", seq=20000)
    t.send(b"good")


@trick(RESET, "beyond the window", "RFC 5961 §3.2")
def rst_beyond(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="R", seq=1000000)
    t.send(b"good")


@trick(RESET, "at the right edge of the window", "RFC 5961 §3.2")
def rst_edge(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="R", seq=t.next + window_of(t))
    t.send(b"good")


@trick(RESET, "begins one before the exact number, data up to it", "RFC 5961 §3.2")
def rst_data_before(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", flags="RA", seq=0)
    t.evil(b"EVILE", flags="RA", seq=0)
    t.send(b"good")


@trick(RESET, "at the end of what was received ahead of a hole (SACK)", "Linux: tcp_validate_incoming()")
def rst_sack(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"GOOD", seq=8)
    t.send(b"", flags="R", seq=12)
    t.send(b"EVIL")


@trick(RESET, "at the end of the lower one of two such ranges", "Linux: tcp_validate_incoming()")
def rst_sack_lower(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"GOOD", seq=16)
    t.send(b"GOOD", seq=8)
    t.evil(b"", flags="R", seq=12)
    t.send(b"good")


@trick(RESET, "at the end of such a range, without SACK agreed", "Linux: tcp_validate_incoming()")
def rst_no_sack(talk):
    t = talk(sack=False).handshake()
    t.send(b"good")
    t.send(b"GOOD", seq=8)
    t.evil(b"", flags="R", seq=12)
    t.send(b"good")


@trick(RESET, "at the old number while a hole is open", "RFC 5961 §3.2")
def rst_hole(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"GOOD", seq=8)
    t.send(b"", flags="R", seq=4)


@trick(RESET, "at the number before the FIN, after the FIN", "Linux: tcp_reset_check()")
def rst_after_fin(talk):
    t = talk().handshake()
    t.send(b"good", flags="FPA")
    t.write(b"data")
    t.send(b"", flags="R", seq=4)


@trick(RESET, "at the number behind the FIN", "RFC 5961 §3.2")
def rst_behind_fin(talk):
    t = talk().handshake()
    t.send(b"good", flags="FPA")
    t.write(b"data")
    t.send(b"", flags="R", seq=5)


@trick(RESET, "unread data, then a RST", "RFC 9293 §3.10.7.4, second")
def rst_unread(talk):
    t = talk(reads=False).handshake()
    t.send(b"good")
    t.send(b"good")
    t.send(b"", flags="R")


# ---- SYN in a connection ----------------------------------------------------

SYNS = "SYN in a connection"


@trick(SYNS, "next number expected", "RFC 5961 §4.2")
def syn_exact(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="S", seq=5)
    t.send(b"good")


@trick(SYNS, "in the window, with data", "RFC 5961 §4.2")
def syn_window(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", flags="S", seq=100)
    t.evil(b"EVIL", flags="S", seq=4)
    t.send(b"good")


@trick(SYNS, "the first one again, with data", "RFC 5961 §4.2")
def syn_repeated(talk):
    t = talk().handshake()
    t.evil(b"EVIL", flags="S", seq=0)
    t.send(b"good")


@trick(SYNS, "beyond the window", "RFC 5961 §4.2")
def syn_beyond(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="S", seq=90000000)
    t.send(b"good")


@trick(SYNS, "with ACK", "RFC 5961 §4.2")
def synack_in(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", flags="SA", seq=5)
    t.evil(b"EVIL", flags="SA", seq=4)
    t.send(b"good")


@trick(SYNS, "with FIN and data", "RFC 5961 §4.2")
def syn_fin_in(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"EVIL", flags="SFA", seq=3)
    t.evil(b"EVIL", flags="SF", seq=3)
    t.send(b"good")


@trick(SYNS, "a new connection after a RST", "RFC 9293 §3.10.7.2")
def syn_after_rst(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"", flags="R")
    t.again(2000000)
    t.handshake()
    t.send(b"more")


@trick(SYNS, "a new connection with a lower number after a RST", "RFC 9293 §3.10.7.2")
def syn_after_rst_lower(talk):
    t = talk().handshake()
    t.send(b"good")
    t.send(b"", flags="R")
    t.again(1000)
    t.handshake()
    t.send(b"more")


@trick(SYNS, "a new connection after both ends have closed", "RFC 9293 §3.6.1")
def syn_after_fin(talk):
    t = talk().handshake()
    t.send(b"good", flags="FPA")
    t.hang_up()
    t.send(b"", flags="A")
    t.again(2000000)
    t.handshake()
    t.send(b"more")


@trick(SYNS, "a new connection while the host is in TIME_WAIT", "RFC 9293 §3.6.1")
def syn_in_time_wait(talk):
    t = talk().handshake()
    t.send(b"good")
    t.hang_up()
    t.send(b"", flags="FA")
    t.again(2000000)
    t.handshake()
    t.send(b"more")


@trick(SYNS, "a lower number while the host is in TIME_WAIT", "RFC 9293 §3.6.1")
def syn_in_time_wait_lower(talk):
    t = talk().handshake()
    t.send(b"good")
    t.hang_up()
    t.send(b"", flags="FA")
    t.again(1000)
    t.handshake()
    t.send(b"EVIL")


# ---- overlaps ---------------------------------------------------------------

OVERLAP = "Segments that overlap"


def overlapping(title, *segments, differs=None):
    """Segments ahead of a hole, given as (from, bytes), and what fills it."""
    @trick(OVERLAP, title, "Linux: tcp_data_queue_ofo()", differs)
    def play(talk):
        t = talk().handshake()
        for start, data in segments:
            t.send(data, seq=start, move=False)


overlapping("the same range twice, ahead of a hole", (4, b"1111"), (4, b"2222"), (0, b"good"))
overlapping("inside an earlier one", (4, b"11111111"), (6, b"2222"), (0, b"good"))
overlapping("the end of an earlier one, and more", (4, b"1111"), (6, b"2222"), (0, b"good"))
overlapping("the end of an earlier one, exactly", (4, b"1111"), (6, b"22"), (0, b"good"))
overlapping("the beginning of an earlier one, exactly", (4, b"1111"), (4, b"22"), (0, b"good"))
overlapping("the same beginning, longer", (4, b"1111"), (4, b"22222222"), (0, b"good"))
overlapping("from before an earlier one into it", (8, b"1111"), (6, b"2222"), (0, b"goodgo"))
overlapping("from before an earlier one to its end", (8, b"1111"), (4, b"22222222"), (0, b"good"))
overlapping("all around an earlier one", (8, b"1111"), (4, b"222222222222"), (0, b"good"))
overlapping("over two earlier ones and the hole between", (4, b"1111"), (12, b"3333"), (4, b"222222222222"),
            (0, b"good"))
overlapping("from inside one into the next", (4, b"1111"), (12, b"3333"), (6, b"22222222"), (0, b"good"))
overlapping("fills the hole and reaches into what is ahead", (4, b"1111"), (0, b"good22"))
overlapping("fills the hole and covers what is ahead", (4, b"1111"), (0, b"good222222"))
overlapping("fills the hole and covers two ranges", (4, b"1111"), (12, b"3333"), (0, b"good222222222222222222"))
overlapping("begins before the window and reaches into what is ahead", (0, b"good"), (8, b"1111"), (2, b"22222222"))
overlapping("three layers, each one further left", (12, b"1111"), (10, b"2222"), (8, b"3333"), (0, b"goodgood"))
overlapping("three layers, each one further right", (4, b"1111"), (6, b"2222"), (8, b"3333"), (0, b"good"),
            differs=dict.fromkeys(BOTH, "the kernel put the third into the first one's buffer, which had room for it; "
                                        "where it has none (next row) it does as we do"))
overlapping("three layers, each one further right, large", (1000, b"1" * 1400), (1700, b"2" * 1400), (2400, b"3" * 1400),
            (0, b"g" * 1000))
overlapping("a byte at a time over an earlier one", (4, b"1111"), (4, b"2"), (5, b"2"), (6, b"2"), (7, b"2"),
            (0, b"good"))
overlapping("two neighbours, then across their border", (4, b"1111"), (8, b"2222"), (6, b"3333"), (0, b"good"))
overlapping("two neighbours, then from the border on, longer", (4, b"1111"), (8, b"2222"), (8, b"333333"), (0, b"good"))


@trick(OVERLAP, "in order, then changed in a retransmission with more", "RFC 9293 §3.10.7.4")
def overlap_in_order(talk):
    t = talk().handshake()
    t.send(b"1111")
    t.send(b"22222222", seq=0)
    t.send(b"333333333333", seq=2)


@trick(OVERLAP, "large segments ahead of a hole, changed", "RFC 9293 §3.10.7.4")
def overlap_large(talk):
    t = talk().handshake()
    t.send(b"1" * 1400, seq=1000, move=False)
    t.send(b"2" * 1400, seq=1700, move=False)
    t.send(b"3" * 1400, seq=300, move=False)
    t.send(b"g" * 400, seq=0, move=False)


# ---- FIN --------------------------------------------------------------------

FINS = "FIN"


@trick(FINS, "ahead of a hole", "RFC 9293 §3.10.7.4, eighth")
def fin_ahead(talk):
    t = talk().handshake()
    t.send(b"GOOD", seq=4, flags="FPA")
    t.send(b"good")


@trick(FINS, "data behind the FIN", "RFC 9293 §3.10.7.4, seventh")
def data_after_fin(talk):
    t = talk().handshake()
    t.send(b"good", flags="FPA")
    t.evil(b"EVIL", seq=5)
    t.evil(b"EVIL", seq=4)


@trick(FINS, "data right behind a FIN that is ahead of a hole", "RFC 9293 §3.10.7.4, eighth",
       dict.fromkeys(BOTH, "nothing follows a FIN (RFC 9293); the kernel put the bytes into the FIN's buffer"))
def data_after_fin_ahead(talk):
    t = talk().handshake()
    t.send(b"GOOD", seq=4, flags="FPA")
    t.evil(b"EVIL", seq=9)
    t.send(b"good")


@trick(FINS, "data over the FIN's number, ahead of a hole", "RFC 9293 §3.10.7.4, eighth")
def data_over_fin(talk):
    t = talk().handshake()
    t.send(b"GOOD", seq=4, flags="FPA")
    t.evil(b"EVIL", seq=8)
    t.send(b"good")


@trick(FINS, "data behind a FIN that is ahead of a hole, not right behind it", "RFC 9293 §3.10.7.4, eighth")
def data_later_after_fin_ahead(talk):
    t = talk().handshake()
    t.send(b"GOOD", seq=4, flags="FPA")
    t.evil(b"EVIL", seq=12)
    t.send(b"good")


@trick(FINS, "data over the FIN's number, from inside its segment, ahead of a hole", "Linux: tcp_data_queue_ofo()")
def data_into_fin(talk):
    t = talk().handshake()
    t.send(b"GOOD", seq=4, flags="FPA")
    t.evil(b"EVILEVIL", seq=6)
    t.send(b"good")


@trick(FINS, "data over an empty FIN's number, from before it, ahead of a hole", "Linux: tcp_data_queue_ofo()")
def data_covers_fin_ahead(talk):
    t = talk().handshake()
    t.evil(b"", seq=8, flags="FA")
    t.send(b"GOODGOOD", seq=4, move=False)
    t.send(b"good")


@trick(FINS, "data over an empty FIN's number, from it on, ahead of a hole", "Linux: tcp_data_queue_ofo()")
def data_from_fin_ahead(talk):
    t = talk().handshake()
    t.evil(b"", seq=4, flags="FA")
    t.send(b"GOODGOOD", seq=4, move=False)
    t.send(b"good")


@trick(FINS, "data over the number of a FIN and its data, from before both, ahead of a hole",
       "Linux: tcp_data_queue_ofo()")
def data_around_fin_ahead(talk):
    t = talk().handshake()
    t.evil(b"GOOD", seq=8, flags="FPA")
    t.send(b"GOODGOODGOOD", seq=4, move=False)
    t.send(b"good")


@trick(FINS, "data that covers a FIN ahead of a hole", "RFC 9293 §3.10.7.4, eighth")
def data_covers_fin(talk):
    t = talk().handshake()
    t.evil(b"", seq=4, flags="FA")
    t.send(b"goodgood")
    t.send(b"more")


@trick(FINS, "a FIN that data passed, then the real one", "RFC 9293 §3.10.7.4, eighth")
def fin_passed(talk):
    t = talk().handshake()
    t.evil(b"", seq=4, flags="FA")
    t.send(b"goodgood")
    t.send(b"more", flags="FPA")


@trick(FINS, "a FIN ahead of a hole, then one in order before it", "RFC 9293 §3.10.7.4, eighth")
def fin_earlier(talk):
    t = talk().handshake()
    t.evil(b"", seq=12, flags="FA")
    t.send(b"good", flags="FPA")


@trick(FINS, "two FINs ahead of a hole", "RFC 9293 §3.10.7.4, eighth")
def two_fins(talk):
    t = talk().handshake()
    t.evil(b"", seq=12, flags="FA")
    t.evil(b"", seq=8, flags="FA")
    t.send(b"good")
    t.send(b"good")


@trick(FINS, "with a bad acknowledgement", "RFC 9293 §3.10.7.4, fifth")
def fin_bad_ack(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="FA", ack=100000)
    t.send(b"good")


@trick(FINS, "beyond the window", "RFC 9293 §3.10.7.4, first")
def fin_beyond(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="FA", seq=200000)
    t.send(b"good")


@trick(FINS, "below the window", "RFC 9293 §3.10.7.4, first")
def fin_below(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="FA", seq=2)
    t.evil(b"", flags="FA", seq=3)
    t.send(b"good")


@trick(FINS, "old bytes and a FIN in the middle of what was received", "RFC 9293 §3.10.7.4, first")
def fin_old_data(talk):
    t = talk().handshake()
    t.send(b"goodgood")
    t.evil(b"EV", flags="FPA", seq=2)
    t.send(b"good")


@trick(FINS, "old bytes and a FIN right at their end", "RFC 9293 §3.10.7.4, eighth")
def fin_old_end(talk):
    t = talk().handshake()
    t.send(b"goodgood")
    t.send(b"EVIL", flags="FPA", seq=4)


@trick(FINS, "data and FIN that end at the window's edge", "RFC 9293 §3.10.7.4, first")
def fin_at_edge(talk):
    t = talk(sockopts=SMALL, reads=False).handshake()
    while window_of(t) > 500:
        t.send(b"g" * 500)
    t.send(b"g" * window_of(t), flags="FPA")


@trick(FINS, "again, with data in front of it", "RFC 9293 §3.10.7.4, first")
def fin_again(talk):
    t = talk().handshake()
    t.send(b"good", flags="FPA")
    t.evil(b"EVIL", seq=0, flags="FPA")
    t.evil(b"EVILEVIL", seq=0, flags="FPA")


@trick(FINS, "data to a host that has closed for reading", "RFC 9293 §3.10.7.4",
       {})
def half_closed_host(talk):
    t = talk().handshake()
    t.hang_up()
    t.send(b"good")
    t.send(b"good", flags="FPA")


DOUBT = "What is not decided at once"


def across_the_edge(talk, decoy, **options):
    """The host takes a segment across its window's edge, since its program has
    read everything; another one for the same place passes before it says so."""
    t = talk(sockopts=SMALL, **options).handshake()
    t.send(b"good")
    t.read()
    size = window_of(t) + 10
    at = t.next
    t.send(b"g" * size, wait=False)
    t.next = at
    decoy(t, size)
    t.read()
    t.next = at + size
    t.send(b"good")


@trick(DOUBT, "across the edge, then a copy with a bad acknowledgement", "Linux: tcp_sequence()")
def edge_bad_ack(talk):
    across_the_edge(talk, lambda t, size: t.evil(b"E" * size, ack=t.host_next + 1000))


@trick(DOUBT, "across the edge, then one byte with a bad acknowledgement", "Linux: tcp_sequence()")
def edge_byte(talk):
    across_the_edge(talk, lambda t, size: t.evil(b"E", ack=t.host_next + 1000))


@trick(DOUBT, "across the edge, then an empty FIN with a bad acknowledgement", "Linux: tcp_sequence()")
def edge_fin(talk):
    across_the_edge(talk, lambda t, size: t.evil(b"", flags="FA", ack=t.host_next + 1000))


@trick(DOUBT, "across the edge, then a copy with an old timestamp", "RFC 7323 §5.3 (R1)")
def edge_old_timestamp(talk):
    across_the_edge(talk, lambda t, size: t.evil(b"E" * size, ts=t.ts - 1000), ts=True)


@trick(DOUBT, "across the edge, then a copy that goes across it, too", "Linux: tcp_sequence()")
def edge_twice(talk):
    across_the_edge(talk, lambda t, size: t.evil(b"E" * size))


@trick(DOUBT, "across the edge and refused, then read, then another across the edge", "Linux: tcp_sequence()")
def edge_again(talk):
    t = talk(sockopts=SMALL, reads=False).handshake()
    t.send(b"good")
    size = window_of(t) + 10
    t.evil(b"E" * size)
    t.read()
    t.send(b"g" * size)
    t.read()
    t.send(b"good")


@trick(DOUBT, "a copy with a bad acknowledgement, then across the edge", "Linux: tcp_sequence()")
def edge_after_bad_ack(talk):
    t = talk(sockopts=SMALL).handshake()
    t.send(b"good")
    t.read()
    size = window_of(t) + 10
    at = t.next
    t.evil(b"E" * size, ack=t.host_next + 1000, wait=False)
    t.next = at
    t.send(b"g" * size)
    t.read()
    t.next = at + size
    t.send(b"good")


@trick(DOUBT, "an empty FIN beyond the edge, then data past its place", "RFC 9293 §3.10.7.4, first")
def fin_passed_by(talk):
    t = talk(sockopts=SMALL).handshake()
    t.send(b"good")
    t.read()
    left = window_of(t) + 60
    t.evil(b"", flags="FA", seq=t.next + left - 40)
    while left > 0:
        size = min(left, 1000)
        t.send(b"g" * size)
        t.read()
        left -= size
    t.send(b"good")


@trick(DOUBT, "an empty FIN beyond the edge, then data across the edge up to it", "RFC 9293 §3.10.7.4, first")
def fin_reached(talk):
    t = talk(sockopts=SMALL).handshake()
    t.send(b"good")
    t.read()
    size = window_of(t) + 20
    at = t.next
    t.evil(b"", flags="FA", seq=at + size, wait=False)
    t.next = at
    t.send(b"g" * size)
    t.read()
    t.next = at + size
    t.send(b"good")


@trick(DOUBT, "data in the SYN, fast open on, then a copy with a wrong ACK", "RFC 7413 §4.2.2")
def tfo_copy(talk):
    t = talk(sockopts=((SOL_TCP, socket.TCP_FASTOPEN, 8),))
    t.syn(b"good", opts=t.syn_options() + NOP * 2 + b"\x22\x02", wait=False)
    t.evil(b"EVIL", seq=0, ack=123456)
    t.next = 4
    t.send(flags="A")
    t.send(b"good")


@trick(DOUBT, "data in the SYN, fast open on, then an empty FIN with a wrong ACK", "RFC 7413 §4.2.2")
def tfo_fin(talk):
    t = talk(sockopts=((SOL_TCP, socket.TCP_FASTOPEN, 8),))
    t.syn(b"good", opts=t.syn_options() + NOP * 2 + b"\x22\x02", wait=False)
    t.evil(b"", flags="FA", seq=0, ack=123456)
    t.next = 4
    t.send(flags="A")
    t.send(b"good")


@trick(DOUBT, "an empty FIN before the SYN/ACK, wrong ACK", "RFC 9293 §3.10.7.4, fifth")
def early_fin(talk):
    t = talk()
    t.syn(wait=False)
    t.evil(b"", flags="FA", seq=0, ack=123456)
    t.send(flags="A")
    t.accept()
    t.send(b"good")


@trick(DOUBT, "acknowledgement of the host's FIN before it, then data", "RFC 9293 §3.10.7.4, fifth")
def early_ack_of_fin(talk):
    t = talk().handshake()
    t.send(b"good")
    t.evil(b"", flags="A", ack=t.host_next + 1)
    t.hang_up()
    t.send(b"good", ack=t.host_next)
    t.send(b"good", ack=t.host_next + 1)


@trick(DOUBT, "beyond the window, with an acknowledgement of the host's FIN, then data", "RFC 9293 §3.10.7.4, first")
def far_ack_of_fin(talk):
    t = talk().handshake()
    t.send(b"good")
    t.hang_up()
    t.evil(b"E", seq=t.next + 200000, ack=t.host_next + 1)
    t.send(b"good", ack=t.host_next)
    t.send(b"good", ack=t.host_next)
    t.send(b"", flags="FA", ack=t.host_next)
