#!/usr/bin/env python3
"""make_trace.py TRACE: connections of every kind that httpmon tells apart."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testing"))
from tcptrace import CLIENT, SERVER, Conversation, Trace

trace = Trace()


def connection(client, port, server="192.0.2.80", server_port=80):
    conversation = Conversation(trace, client, port, server, server_port)
    conversation.handshake()
    return conversation


def request(method, target, host):
    return f"{method} {target} HTTP/1.1\r\nUser-Agent: a test\r\nHost: {host}\r\n\r\n".encode()


ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

# Another host's, although the second request would be for ours.
keep_alive = connection("10.0.0.1", 40001)
for host in ("other.example", "example.com"):
    keep_alive.send(CLIENT, request("GET", "/one", host))
    keep_alive.send(SERVER, ok)
keep_alive.close()

# Ours, in three pieces and the last one first; the answer is torn apart.
torn = connection("10.0.0.2", 40002)
header = request("GET", "/torn?a=b", "example.com")
torn.segment(CLIENT, 50, header[50:])
torn.segment(CLIENT, 0, header[:20])
torn.segment(CLIENT, 20, header[20:50])
torn.acknowledge(SERVER)
torn.send(SERVER, b"HTTP/1.1 4")
torn.send(SERVER, b"04 Not Found\r\nContent-Length: 0\r\n\r\n")
torn.close()

# Not HTTP: TLS, and a server that speaks first.
tls = connection("10.0.0.3", 40003, server_port=443)
tls.send(CLIENT, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4" + bytes(200))
tls.send(SERVER, b"\x16\x03\x03" + bytes(1000))
tls.close()
ssh = connection("10.0.0.4", 40004, server_port=22)
ssh.send(SERVER, b"SSH-2.0-server\r\n")
ssh.send(CLIENT, b"SSH-2.0-client\r\n")
ssh.close()

# Ours with a port and other letters, over IPv6; its body looks like a request.
post = connection("2001:db8::5", 40005, "2001:db8::80")
post.send(CLIENT, request("POST", "/form", "Example.COM:8080"))
post.send(CLIENT, request("GET", "/body", "other.example"))
post.send(SERVER, b"HTTP/1.0 201 Created\r\n\r\n")
post.send(SERVER, bytes(5000))
post.close(SERVER)

# Ours, without an answer.
mute = connection("10.0.0.6", 40006)
mute.send(CLIENT, request("GET", "/mute", "example.com"))
mute.reset(SERVER)

# The second host of the command line.
second = connection("10.0.0.7", 40007)
second.send(CLIENT, request("HEAD", "/", "example.org"))
second.send(SERVER, b"HTTP/1.1 304 Not Modified\r\n\r\n")
second.close()

# The third one, by the target: that counts, and not what the Host field says.
literal = connection("10.0.0.9", 40009)
literal.send(CLIENT, request("GET", "http://[2001:db8::9]:8080?q", "other.example"))
literal.send(SERVER, ok)
literal.close()

# Ours, with bytes that a terminal would obey, and no status.
rude = connection("10.0.0.10", 40010)
rude.send(CLIENT, request("GET", "/\x1b[2J\nfake", "example.com"))
rude.send(SERVER, b"HTTP/1.1 \x1b[2J\r\n\r\n")
rude.close()

# Ours, but its beginning passed elsewhere; the server acknowledges it.
late = connection("10.0.0.11", 40011)
late.segment(CLIENT, 10, request("GET", "/late", "example.com"))
late.acknowledge(SERVER)
late.send(CLIENT, b"more")
late.close()

# Opened for nothing.
connection("10.0.0.8", 40008).close()

trace.write(sys.argv[1])
