"""Generic netlink as tunneldigger's broker speaks it: one datagram a request, and only its first message looked at."""
import socket
import struct
import sys

CREATE, DELETE, GET, SESSION_CREATE, SESSION_MODIFY, SESSION_DELETE = 1, 2, 4, 5, 7, 6
NETLINK_GENERIC, GENL_ID_CTRL, GETFAMILY = 16, 16, 3
REQUEST, ACK, DUMP, ERROR, DONE = 1, 4, 0x300, 2, 3


def attribute(kind, payload):
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def u8(kind, value):
    return attribute(kind, struct.pack("B", value))


def u16(kind, value):
    return attribute(kind, struct.pack("H", value))


def u32(kind, value):
    return attribute(kind, struct.pack("I", value))


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.bind((0, 0))
        self.port, _ = self.socket.getsockname()
        self.sequence = 0
        reply = self.request(GENL_ID_CTRL, GETFAMILY, attribute(2, b"l2tp\0"), 0)[20:]
        while reply:
            length, kind = struct.unpack_from("HH", reply)
            if kind == 1:
                (self.family,) = struct.unpack_from("H", reply, 4)
            reply = reply[(length + 3) & ~3:]

    def send(self, kind, command, payload, flags):
        self.sequence += 1
        body = struct.pack("BBH", command, 1, 0) + payload
        self.socket.send(struct.pack("IHHII", 16 + len(body), kind, REQUEST | flags, self.sequence, self.port) + body)

    def receive(self):
        data, (port, groups) = self.socket.recvfrom(16384)
        assert (port, groups) == (0, 0), (port, groups)
        length, kind, _, sequence, to = struct.unpack_from("IHHII", data)
        assert sequence == self.sequence and to == self.port, (sequence, to)
        if kind == ERROR:
            (error,) = struct.unpack_from("i", data, 16)
            if error:
                raise OSError(-error, "netlink")
        return data

    def request(self, kind, command, payload, flags=ACK):
        self.send(kind, command, payload, flags)
        return self.receive()

    def ask(self, command, payload):
        return self.request(self.family, command, payload)

    def count(self, command):
        self.send(self.family, command, b"", DUMP | ACK)
        found = 0
        while True:
            data = self.receive()
            while data:
                length, kind = struct.unpack_from("IH", data)
                if kind == DONE:
                    return found
                found += 1
                data = data[(length + 3) & ~3:]


def refused(number, call):
    try:
        call()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError("not refused")


connection = Connection()
assert connection.count(4) == 0 and connection.count(8) == 0
clients = []
for tunnel in range(100, 103):
    # One port for all clients, as the broker has it.
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    client.bind(("127.0.0.1", 8942))
    client.connect(("127.0.0.1", 20000 + tunnel))
    clients.append(client)
    create = u32(9, tunnel) + u32(10, tunnel) + u8(7, 3) + u16(2, 0) + u32(23, client.fileno())
    connection.ask(CREATE, create)
    refused(17, lambda: connection.ask(CREATE, create))
    name = b"dig%d\0" % tunnel
    connection.ask(SESSION_CREATE, u32(9, tunnel) + u32(11, tunnel) + u32(12, tunnel) + u16(1, 5) + attribute(8, name))
    # The device is there when the acknowledgement is.
    assert socket.if_nametoindex(name[:-1].decode())
    connection.ask(SESSION_MODIFY, u32(9, tunnel) + u32(11, tunnel) + u16(28, 1400))
refused(9, lambda: connection.ask(CREATE, u32(9, 50) + u32(10, 50) + u8(7, 3) + u16(2, 0) + u32(23, 999)))
assert connection.count(4) == 3 and connection.count(8) == 3
connection.ask(SESSION_DELETE, u32(9, 100) + u32(11, 100))
connection.ask(DELETE, u32(9, 100))
# A tunnel dies with its socket.
clients[1].close()
import time
for _ in range(1000):
    if connection.count(4) == 1:
        break
    time.sleep(0.01)
assert connection.count(4) == 1 and connection.count(8) == 1
if len(sys.argv) > 1:
    # Opened with O_CLOEXEC, as Python does.
    with open("/sys/kernel/debug/l2tp/tunnels") as file:
        assert "TUNNEL 102 peer 102" in file.read()
print("all as it should be")
