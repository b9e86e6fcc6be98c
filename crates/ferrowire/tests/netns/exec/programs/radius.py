"""A RADIUS server (RFC 2865) that accepts the user "caller" with the password "open sesame" by PAP, and gives addresses."""

import hashlib
import socket
import struct

SECRET = b"radius"
USER, PASSWORD = b"caller", b"open sesame"
ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE = 1, 2, 3, 4, 5
USER_NAME, USER_PASSWORD, SERVICE_TYPE, FRAMED_PROTOCOL, FRAMED_IP_ADDRESS = 1, 2, 6, 7, 8


def attributes(packet):
    """RFC 2865 section 5: type, length with these two bytes, value."""
    found, at = {}, 20
    while at + 2 <= len(packet):
        kind, length = packet[at], max(packet[at + 1], 2)
        found[kind] = packet[at + 2 : at + length]
        at += length
    return found


def plain(hidden, authenticator):
    """RFC 2865 section 5.2: each 16 bytes are XORed with a digest of the secret and what is before them."""
    out, before = b"", authenticator
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        key = hashlib.md5(SECRET + before).digest()
        out += bytes(a ^ b for a, b in zip(block, key))
        before = block
    return out.rstrip(b"\0")


def reply(code, identifier, authenticator, body=b""):
    """RFC 2865 section 3: the digest covers the request's authenticator in its own place."""
    head = struct.pack("!BBH", code, identifier, 20 + len(body))
    return head + hashlib.md5(head + authenticator + body + SECRET).digest() + body


def answer(packet, last):
    code, identifier, length = struct.unpack("!BBH", packet[:4])
    authenticator, given = packet[4:20], attributes(packet[:length])
    if code == ACCOUNTING_REQUEST:
        return reply(ACCOUNTING_RESPONSE, identifier, authenticator)
    if given.get(USER_NAME) != USER or plain(given.get(USER_PASSWORD, b""), authenticator) != PASSWORD:
        return reply(ACCESS_REJECT, identifier, authenticator)
    body = struct.pack("!BBI", SERVICE_TYPE, 6, 2) + struct.pack("!BBI", FRAMED_PROTOCOL, 6, 1)
    body += struct.pack("!BB4B", FRAMED_IP_ADDRESS, 6, 10, 98, 0, last)
    return reply(ACCESS_ACCEPT, identifier, authenticator, body)


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 1812))
    print("ready", flush=True)
    last = 10
    while True:
        packet, client = server.recvfrom(4096)
        server.sendto(answer(packet, last), client)
        last += packet[0] == ACCESS_REQUEST


main()
