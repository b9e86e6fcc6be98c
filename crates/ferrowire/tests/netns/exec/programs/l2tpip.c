/* socket(AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_L2TP) as the kernel has it. */
#include "netlink.h"
#include <sys/ioctl.h>
#include <netinet/in.h>

struct in4 { unsigned short family, unused; unsigned address, conn_id; unsigned char pad[4]; };
struct in6 { unsigned short family, unused; unsigned flow; struct in6_addr address; unsigned scope, conn_id; };

static struct in4 v4(const char *text, unsigned conn_id)
{
    struct in4 a = { .family = AF_INET, .conn_id = conn_id };
    inet_pton(AF_INET, text, &a.address);
    return a;
}

static struct in6 v6(const char *text, unsigned conn_id)
{
    struct in6 a = { .family = AF_INET6, .conn_id = conn_id };
    inet_pton(AF_INET6, text, &a.address);
    return a;
}

/* A control message for a connection. */
static int control(char *b, unsigned conn_id, const char *text)
{
    unsigned id = htonl(conn_id);
    int length = 12 + strlen(text);
    memset(b, 0, 12);
    b[0] = 0xc8, b[1] = 3, b[2] = length >> 8, b[3] = length;
    memcpy(b + 4, &id, 4);
    memcpy(b + 12, text, strlen(text));
    return length;
}

static char b[2048], r[2048];

static int bound(const char *address, unsigned conn_id)
{
    int six = !!strchr(address, ':'), fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, 115);
    struct in4 a = v4(address, conn_id);
    struct in6 a6 = v6(address, conn_id);
    CHECK(fd >= 0 && !(six ? bind(fd, (void *)&a6, sizeof a6) : bind(fd, (void *)&a, sizeof a)), "%s", address);
    return fd;
}

static void kinds(void)
{
    CHECK(socket(AF_INET, SOCK_STREAM, 115) < 0 && errno == EPROTONOSUPPORT);
    CHECK(socket(AF_INET, SOCK_SEQPACKET, 115) < 0 && errno == ESOCKTNOSUPPORT);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 115), value = 0;
    socklen_t length = sizeof value;
    CHECK(fd >= 0 && fd < FD_SETSIZE && fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) && value == SOCK_DGRAM && length == 4);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length) && value == 115);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) && value == AF_INET);
    value = 1;
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
    CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0, "it would not bind");
    CHECK(listen(fd, 1) < 0 && errno == EOPNOTSUPP);
    CHECK(accept(fd, 0, 0) < 0 && errno == EOPNOTSUPP);
    CHECK(recv(fd, r, sizeof r, 0) < 0 && errno == EAGAIN);
    CHECK(recv(fd, r, sizeof r, MSG_OOB) < 0 && errno == EOPNOTSUPP);
    CHECK(shutdown(fd, 3) < 0 && errno == EINVAL);
    CHECK(shutdown(fd, SHUT_RDWR) < 0 && errno == ENOTCONN);
    CHECK(!getsockopt(fd, IPPROTO_IP, IP_TTL, &value, &length), "it has not ended");
    close(fd);
}

static void errors(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 115);
    struct in4 here = v4("127.0.0.1", 10), nowhere = v4("198.51.100.77", 10), wrong = v4("127.0.0.1", 10), none = { 0 };
    wrong.family = AF_INET6;
    CHECK(connect(fd, (void *)&here, sizeof here) < 0 && errno == EINVAL, "not bound");
    CHECK(bind(fd, (void *)&here, 8) < 0 && errno == EINVAL);
    CHECK(bind(fd, (void *)&wrong, sizeof wrong) < 0 && errno == EINVAL);
    CHECK(bind(fd, (void *)&nowhere, sizeof nowhere) < 0 && errno == EADDRNOTAVAIL);
    CHECK(!bind(fd, (void *)&here, sizeof here));
    CHECK(bind(fd, (void *)&here, sizeof here) < 0 && errno == EINVAL, "twice");
    int two = socket(AF_INET, SOCK_DGRAM, 115);
    CHECK(bind(two, (void *)&here, sizeof here) < 0 && errno == EADDRINUSE);
    int n = control(b, 10, "x");
    CHECK(send(fd, b, n, 0) < 0 && errno == EDESTADDRREQ);
    CHECK(write(fd, b, n) < 0 && errno == EDESTADDRREQ);
    CHECK(sendto(fd, b, n, 0, (void *)&here, 8) < 0 && errno == EINVAL);
    CHECK(sendto(fd, b, n, 0, (void *)&wrong, sizeof wrong) < 0 && errno == EAFNOSUPPORT);
    CHECK(connect(fd, (void *)&wrong, sizeof wrong) < 0 && errno == EAFNOSUPPORT);
    struct in4 name;
    socklen_t length = sizeof name;
    CHECK(getpeername(fd, (void *)&name, &length) < 0 && errno == ENOTCONN);
    CHECK(!connect(fd, (void *)&here, sizeof here) && getpeername(fd, (void *)&name, &length) < 0 && errno == ENOTCONN);
    CHECK(!connect(fd, (void *)&none, sizeof none), "AF_UNSPEC");
    close(fd);
    /* The id is free with the last copy. */
    for (int try = 0; try < 500 && bind(two, (void *)&here, sizeof here); try++) usleep(10000);
    length = sizeof name;
    CHECK(!getsockname(two, (void *)&name, &length) && length == 16 && !memcmp(&name.address, &here.address, 4) && name.conn_id == 10);
    length = 6;
    memset(&name, 9, sizeof name);
    CHECK(!getsockname(two, (void *)&name, &length) && length == 16 && name.family == AF_INET && name.address == 0x09090000 + (here.address & 0xffff));
    close(two);
}

/* Messages between two sockets of an address family, with every call that sends and receives. */
static void messages(const char *address)
{
    int six = !!strchr(address, ':'), left = bound(address, 21), right = bound(address, 22);
    struct in4 to4 = v4(address, 22), from4;
    struct in6 to6 = v6(address, 22), from6;
    void *to = six ? (void *)&to6 : &to4, *from = six ? (void *)&from6 : &from4;
    socklen_t size = six ? sizeof to6 : sizeof to4, length = size;
    struct pollfd p = { right, POLLIN, 0 };
    CHECK(poll(&p, 1, 0) == 0);
    int n = control(b, 22, "hello");
    CHECK(sendto(left, b, n, 0, to, size) == n);
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
    int waiting = 0;
    CHECK(!ioctl(right, FIONREAD, &waiting) && waiting == n, "%d", waiting);
    CHECK(recv(right, r, sizeof r, MSG_PEEK) == n && !memcmp(r, b, n));
    memset(from, 9, size);
    CHECK(recvfrom(right, r, sizeof r, 0, from, &length) == n && !memcmp(r, b, n) && length == size, "%d", (int)length);
    if (six) CHECK(from6.family == AF_INET6 && !memcmp(&from6.address, &to6.address, 16) && from6.conn_id == 0);
    else CHECK(from4.family == AF_INET && from4.address == to4.address && from4.unused == 0 && from4.conn_id == 0);
    CHECK(!connect(left, to, size));
    n = control(b, 22, "connected");
    CHECK(send(left, b, n, 0) == n && read(right, r, sizeof r) == n && !memcmp(r, b, n));
    struct iovec parts[2] = { { b, 5 }, { b + 5, n - 5 } }, room = { r, 7 };
    CHECK(writev(left, parts, 2) == n);
    struct msghdr m = { .msg_name = from, .msg_namelen = size, .msg_iov = &room, .msg_iovlen = 1 };
    CHECK(recvmsg(right, &m, 0) == 7 && m.msg_flags & MSG_TRUNC && m.msg_namelen == size);
    CHECK(write(left, b, n) == n && recv(right, r, 7, MSG_TRUNC) == n);
    CHECK(recv(right, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    /* Somebody waits. */
    pid_t child = fork();
    if (!child) {
        usleep(200000);
        _exit(write(left, b, n) != n);
    }
    double start = seconds();
    CHECK(recv(right, r, sizeof r, 0) == n && seconds() - start > 0.1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct timeval soon = { 0, 100000 };
    CHECK(!setsockopt(right, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    start = seconds();
    CHECK(recv(right, r, sizeof r, 0) < 0 && errno == EAGAIN && seconds() - start < 5);
    int copy = dup(right);
    CHECK(copy > 0 && write(left, b, n) == n && read(copy, r, sizeof r) == n);
    close(copy);
    close(left);
    close(right);
}

/* A tunnel on a socket of the program's dies with it. */
static void tunnel(int nl, int family)
{
    int fd = bound("127.0.0.1", 31);
    struct in4 peer = v4("127.0.0.1", 32);
    CHECK(!connect(fd, (void *)&peer, sizeof peer));
    unsigned id = 31, peer_id = 32;
    unsigned char version = 3;
    unsigned short encap = 1;
    begin(b, family, NLM_F_ACK, TUNNEL_CREATE);
    put(b, CONN_ID, &id, 4), put(b, PEER_CONN_ID, &peer_id, 4), put(b, PROTO_VERSION, &version, 1), put(b, ENCAP_TYPE, &encap, 2);
    nl_send(nl, b, put(b, 23, &fd, 4));
    int e = acknowledged(nl);
    CHECK(e == 0, "%d", e);
    close(fd);
    for (int try = 0; try < 500; try++) {
        nl_send(nl, b, delete_tunnel(b, family, 31, NLM_F_ACK));
        if ((e = acknowledged(nl)) == -ENODEV) break;
        usleep(10000);
    }
    CHECK(e == -ENODEV, "%d", e);
}

int main(int argc, char **argv)
{
    int nl = nl_open(0), family = family_id(nl, "l2tp");
    kinds();
    errors();
    messages("127.0.0.1");
    messages("::1");
    if (argc < 2) tunnel(nl, family);
    return finish();
}
