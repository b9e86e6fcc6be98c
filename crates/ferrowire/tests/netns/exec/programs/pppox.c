/* socket(AF_PPPOX, any, PX_PROTO_OL2TP) and /dev/ppp as the kernel has them. */
#include "netlink.h"
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <linux/filter.h>
#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>
#include "pppox.h"

/* What an ioctl gives: its errno, or 0. */
static int request(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument) ? errno : 0;
}

#define REFUSED(what, error) CHECK((what) < 0 && errno == (error), "want %s", strerror(error))

static void kinds(void)
{
    int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW }, value, fd;
    socklen_t length = sizeof value;
    for (int i = 0; i < 3; i++) {
        CHECK((fd = socket(AF_PPPOX, types[i], PX_PROTO_OL2TP)) >= 0);
        CHECK(!getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) && value == SOCK_STREAM && length == 4);
        close(fd);
    }
    REFUSED(socket(AF_PPPOX, SOCK_DGRAM, 4), EPROTOTYPE);
    REFUSED(socket(AF_PPPOX, SOCK_DGRAM, -1), EPROTOTYPE);
    REFUSED(socket(AF_PPPOX, 12, PX_PROTO_OL2TP), EINVAL);
    CHECK((fd = socket(AF_PPPOX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, PX_PROTO_OL2TP)) >= 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length) && value == PX_PROTO_OL2TP);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) && value == AF_PPPOX);
    length = 2;
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) && length == 2);
    struct pppol2tp a = address(-1, 1, 2, 3, 4);
    REFUSED(bind(fd, (void *)&a, sizeof a), EOPNOTSUPP);
    REFUSED(listen(fd, 1), EOPNOTSUPP);
    REFUSED(shutdown(fd, SHUT_RDWR), EOPNOTSUPP);
    close(fd);
}

/* Before it is connected. */
static void fresh(void)
{
    char name[128];
    int fd = pppox(), value = 1;
    socklen_t length = sizeof name, four = 4;
    REFUSED(getsockname(fd, (void *)name, &length), ENOTCONN);
    REFUSED(getpeername(fd, (void *)name, &length), ENOTCONN);
    REFUSED(setsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, &value, 4), ENOTCONN);
    REFUSED(getsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, &four), ENOTCONN);
    REFUSED(setsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, &value, 3), EINVAL);
    REFUSED(setsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, (void *)8, 4), EFAULT);
    four = -1;
    REFUSED(getsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, &four), EINVAL);
    REFUSED(getsockopt(fd, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, (void *)8), EFAULT);
    unsigned long known[] = { PPPIOCGCHAN, PPPIOCGMRU, PPPIOCSMRU, PPPIOCGFLAGS, PPPIOCSFLAGS, PPPIOCGL2TPSTATS };
    for (int i = 0; i < 6; i++) {
        CHECK(request(fd, known[i], name) == ENOTCONN, "%lx", known[i]);
        CHECK(request(fd, known[i], (void *)8) == ENOTCONN, "%lx", known[i]);
    }
    CHECK(request(fd, PPPIOCGUNIT, name) == ENOTTY);
    CHECK(request(fd, PPPIOCSPASS, (void *)8) == ENOTTY);
    close(fd);
}

static void refused_connects(void)
{
    int fd = pppox(), file = open("/dev/null", O_RDWR), stream = socket(AF_INET, SOCK_STREAM, 0);
    struct pppol2tp a = address(-1, 1, 0, 2, 0);
    REFUSED(connect(fd, (void *)&a, sizeof a), EBADF);
    REFUSED(connect(fd, (void *)&a, sizeof a - 1), EINVAL);
    REFUSED(connect(fd, (void *)8, sizeof a), EFAULT);
    a.fd = 999;
    REFUSED(connect(fd, (void *)&a, sizeof a), EBADF);
    a.fd = file;
    REFUSED(connect(fd, (void *)&a, sizeof a), ENOTSOCK);
    a.fd = stream;
    REFUSED(connect(fd, (void *)&a, sizeof a), EPROTONOSUPPORT);
    a = address(-1, 1, 5, 2, 6);
    REFUSED(connect(fd, (void *)&a, sizeof a), ENOENT);
    a = address(-1, 0, 5, 2, 6);
    REFUSED(connect(fd, (void *)&a, sizeof a), EINVAL);
    a = address(-1, 1, 0, 2, 0), a.protocol = 2;
    REFUSED(connect(fd, (void *)&a, sizeof a), EINVAL);
    close(fd), close(file), close(stream);
}

/* The four forms of addresses: the tunnel says which. */
static void forms(void)
{
    int sizes[] = { 38, 46, 50, 58 };
    for (int i = 0; i < 4; i++) {
        int six = i > 1, v3 = i & 1, udp = tunnel_socket(six, 3000 + i), m = pppox(), s = pppox(), again = pppox();
        char a[64], name[128];
        socklen_t length = sizeof name;
        CHECK(any_address(a, six, v3, udp, 100 + i, 0, 200 + i, 0) == sizes[i]);
        CHECK(!connect(m, (void *)a, sizes[i]), "form %d", i);
        any_address(a, six, v3, -1, 100 + i, 7, 200 + i, 8);
        CHECK(!connect(s, (void *)a, sizes[i]), "form %d", i);
        REFUSED(connect(s, (void *)a, sizes[i]), EBUSY);
        REFUSED(connect(again, (void *)a, sizes[i]), EEXIST);
        CHECK(!getsockname(s, (void *)name, &length) && length == sizes[i], "form %d: %d", i, length);
        /* As it was asked for, but for the caller, and the tunnel's descriptor and peer. */
        int pid = gettid();
        CHECK(!memcmp(name + 6, &pid, 4) && !memcmp(name + 10, &udp, 4), "form %d", i);
        any_address(a, six, v3, udp, 100 + i, 7, 200 + i, 8), memcpy(a + 6, &pid, 4);
        CHECK(!memcmp(name, a, sizes[i]), "form %d", i);
        length = 20, memset(name, 0x55, sizeof name);
        CHECK(!getpeername(s, (void *)name, &length) && length == sizes[i] && name[19] != 0x55 && name[20] == 0x55);
        REFUSED(getpeername(s, (void *)name, (void *)8), EFAULT);
        close(again), close(s), close(m), close(udp);
    }
}

static void options(int m, int s)
{
    int value, of_session[] = { PPPOL2TP_SO_RECVSEQ, PPPOL2TP_SO_SENDSEQ, PPPOL2TP_SO_LNSMODE, PPPOL2TP_SO_REORDERTO };
    socklen_t length = 4;
    for (int i = 0; i < 4; i++) {
        value = 1;
        CHECK(!setsockopt(s, SOL_PPPOL2TP, of_session[i], &value, 4), "%d", of_session[i]);
        REFUSED(setsockopt(m, SOL_PPPOL2TP, of_session[i], &value, 4), ENOPROTOOPT);
        value = 99;
        CHECK(!getsockopt(s, SOL_PPPOL2TP, of_session[i], &value, &length) && value == (i == 3 ? 4 : 1) && length == 4);
        value = i == 3 ? 0 : 2;
        if (i < 3) REFUSED(setsockopt(s, SOL_PPPOL2TP, of_session[i], &value, 4), EINVAL);
        value = 0;
        CHECK(!setsockopt(s, SOL_PPPOL2TP, of_session[i], &value, 4));
    }
    value = 7;
    CHECK(!setsockopt(m, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, 4));
    CHECK(!getsockopt(m, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, &length) && value == 0);
    REFUSED(setsockopt(s, SOL_PPPOL2TP, 6, &value, 4), ENOPROTOOPT);
    value = -1, length = 2;
    CHECK(!getsockopt(s, SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, &value, &length) && value == (int)0xffff0000 && length == 2);
}

static void requests(int m, int s)
{
    int value = 99;
    struct pppol2tp_ioc_stats stats;
    CHECK(!request(s, PPPIOCGMRU, &value) && value == 0);
    value = 1400;
    CHECK(!request(s, PPPIOCSMRU, &value) && !request(s, PPPIOCSFLAGS, &value));
    CHECK(!request(s, PPPIOCGFLAGS, &value) && value == 0);
    CHECK(request(s, PPPIOCSMRU, (void *)8) == EFAULT && request(s, PPPIOCGMRU, (void *)8) == EFAULT);
    CHECK(request(m, PPPIOCGMRU, &value) == ENOSYS && request(m, PPPIOCSFLAGS, &value) == ENOSYS);
    CHECK(!request(m, PPPIOCGCHAN, &value) && value == -1);
    memset(&stats, 0xff, sizeof stats), stats.session_id = 999;
    CHECK(!request(s, PPPIOCGL2TPSTATS, &stats) && stats.tunnel_id == 10 && stats.session_id == 11);
    stats.session_id = 999;
    CHECK(request(m, PPPIOCGL2TPSTATS, &stats) == EBADR);
    stats.session_id = 11;
    CHECK(!request(m, PPPIOCGL2TPSTATS, &stats) && stats.session_id == 11);
    stats.session_id = 0;
    CHECK(!request(m, PPPIOCGL2TPSTATS, &stats) && stats.tunnel_id == 10);
    CHECK(request(s, PPPIOCGUNIT, &value) == ENOTTY && request(s, 0xffff74ff, &value) == ENOTTY);
}

/* Frames as they are on the wire, and on the descriptors. */
static const char lcp[] = "\xc0\x21\x01\x01\x00\x04", ipcp[] = "\x80\x21\x01\x01\x00\x04";

static int on_wire(char *b, int tunnel, int session, const char *frame, int length)
{
    unsigned short head[4] = { htons(2), htons(tunnel), htons(session), htons(0xff03) };
    memcpy(b, head, 8);
    memcpy(b + 8, frame, length);
    return 8 + length;
}

static int arrives(int fd, const char *want, int length)
{
    char r[2048];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 10000) == 1 && read(fd, r, sizeof r) == length && !memcmp(r, want, length);
}

/* A unit and its channel in each state; `wire` is the peer. */
static void device(int s, int wire)
{
    char b[2048], w[2048];
    int n = on_wire(w, 10, 11, lcp, 6), fd, index = 99, unit = -1, value = 0, name_length = 16;
    CHECK(write(wire, w, n) == n && arrives(s, lcp, 6));
    /* What has not been read is the channel's. */
    CHECK(write(wire, w, n) == n);
    struct pollfd p = { .fd = s, .events = POLLIN };
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK(!request(s, PPPIOCGCHAN, &index) && index >= 1 && request(s, PPPIOCGCHAN, (void *)8) == EFAULT);
    int again = 0;
    CHECK(!request(s, PPPIOCGCHAN, &again) && again == index);

    CHECK((fd = open("/dev/ppp", O_RDWR | O_NONBLOCK | O_CLOEXEC)) >= 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    REFUSED(getsockname(fd, (void *)b, (void *)&name_length), ENOTSOCK);
    CHECK(request(fd, PPPIOCGFLAGS, &value) == ENOTTY && request(fd, PPPIOCCONNECT, &value) == ENOTTY);
    value = 12345;
    CHECK(request(fd, PPPIOCATTCHAN, &value) == ENXIO && request(fd, PPPIOCATTACH, &value) == ENXIO);
    CHECK(request(fd, PPPIOCATTCHAN, (void *)8) == EFAULT);
    CHECK(!request(fd, PPPIOCATTCHAN, &index));
    CHECK(arrives(fd, lcp, 6));
    REFUSED(read(fd, b, sizeof b), EAGAIN);
    CHECK(request(fd, PPPIOCATTCHAN, &index) == ENOTTY && request(fd, PPPIOCGFLAGS, &value) == ENOTTY);
    CHECK(request(fd, PPPIOCDISCONN, 0) == EINVAL && request(fd, PPPIOCCONNECT, &value) == ENXIO);
    CHECK(request(fd, PPPIOCUNBRIDGECHAN, 0) == EINVAL);

    int u = open("/dev/ppp", O_RDWR);
    CHECK(u >= 0 && !request(u, PPPIOCNEWUNIT, &unit) && unit == 0 && if_nametoindex("ppp0"));
    int other = open("/dev/ppp", O_RDWR), taken = 0;
    CHECK(request(other, PPPIOCNEWUNIT, &taken) == EEXIST && !request(other, PPPIOCATTACH, &taken));
    CHECK(!request(other, PPPIOCGUNIT, &value) && value == 0);
    close(other);
    CHECK(!request(fd, PPPIOCCONNECT, &unit) && request(fd, PPPIOCCONNECT, &unit) == EINVAL);
    value = SC_CCP_OPEN;
    CHECK(!request(u, PPPIOCSFLAGS, &value) && !request(u, PPPIOCGFLAGS, &value) && value & SC_CCP_OPEN);
    struct npioctl np = { PPP_IP, NPMODE_PASS };
    CHECK(!request(u, PPPIOCSNPMODE, &np) && (np.mode = 9, !request(u, PPPIOCGNPMODE, &np)) && np.mode == NPMODE_PASS);
    struct sock_fprog filter = { 0 };
    CHECK(!request(u, PPPIOCSPASS, &filter) && !request(u, PPPIOCSACTIVE, &filter) && request(u, PPPIOCSPASS, (void *)8) == EFAULT);
    struct { long xmit, recv; } idle = { -1, -1 };
    CHECK(!request(u, PPPIOCGIDLE, &idle) && idle.xmit >= 0 && idle.xmit < 60);
    struct ppp_option_data compression = { (void *)"\x1a\x04\x78\x00", 4, 1 };
    CHECK(request(u, PPPIOCSCOMPRESS, &compression) == EINVAL && request(u, PPPIOCATTCHAN, &index) == ENOTTY);
    value = 1400;
    CHECK(!request(u, PPPIOCSMRU, &value) && !request(u, PPPIOCSDEBUG, &value));

    /* Out of both, into both. */
    n = on_wire(w, 20, 21, lcp, 6);
    CHECK(write(fd, lcp, 6) == 6 && arrives(wire, w, n));
    n = on_wire(w, 20, 21, ipcp, 6);
    CHECK(write(u, ipcp, 6) == 6 && arrives(wire, w, n));
    n = on_wire(w, 10, 11, ipcp, 6);
    CHECK(write(wire, w, n) == n && arrives(u, ipcp, 6));
    n = on_wire(w, 10, 11, lcp, 6);
    CHECK(write(wire, w, n) == n && arrives(fd, lcp, 6));

    /* Counters by the name of the device, of any socket. */
    int inet = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned counters[19] = { 0 };
    struct ifreq ifr = { .ifr_name = "ppp0", .ifr_data = (void *)counters };
    CHECK(!ioctl(inet, 0x89f0, &ifr) && counters[3] == 1 && counters[8] == 1, "%u %u", counters[3], counters[8]);
    ifr.ifr_data = b;
    CHECK(!ioctl(inet, 0x89f1, &ifr) && !strcmp(b, "2.4.2"));
    ifr.ifr_data = (void *)8;
    REFUSED(ioctl(inet, 0x89f0, &ifr), EFAULT);
    strcpy(ifr.ifr_name, "lo");
    CHECK(ioctl(inet, 0x89f0, &ifr) < 0);
    REFUSED(ioctl(u, 0x89f0, &ifr), ENOTTY);

    /* A unit that is joined again goes on. */
    struct pollfd idle_unit = { .fd = u, .events = POLLIN };
    CHECK(!request(fd, PPPIOCDISCONN, 0) && poll(&idle_unit, 1, 100) == 0);
    n = on_wire(w, 10, 11, ipcp, 6);
    CHECK(write(wire, w, n) == n && arrives(fd, ipcp, 6), "a channel without a unit takes all");
    CHECK(!request(fd, PPPIOCCONNECT, &unit) && write(wire, w, n) == n && arrives(u, ipcp, 6));
    close(u);
    for (int i = 0; i < 30; i++) {
        CHECK((u = open("/dev/ppp", O_RDWR)) >= 0 && (unit = -1, !request(u, PPPIOCNEWUNIT, &unit)) && unit == 0, "unit %d", unit);
        close(u);
    }
    close(s);
    CHECK(arrives(fd, "", 0), "a channel without its socket reads its end");
    close(fd);
}

/* Connects a session socket anew until the last one's is gone. */
static int reconnect(int session)
{
    int fd = pppox();
    struct pppol2tp a = address(-1, 10, session, 20, session + 10);
    for (int try = 0; try < 1000 && connect(fd, (void *)&a, sizeof a); try++) {
        if (errno != EEXIST) return -1;
        usleep(10000);
    }
    return fd;
}

/* Low numbers, copies, children, other programs: the session lives as long as any of them. */
static void copies(const char *self)
{
    struct pppol2tp a = address(-1, 10, 30, 20, 40);
    int s = reconnect(30), pair[2], status = -1, second = pppox();
    CHECK(s >= 0);
    pid_t child = fork();
    if (!child) {
        dup2(s, 0), close(s);
        execl(self, self, "inherited", NULL);
        _exit(99);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "%x", status);
    CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 1;
    struct iovec part = { &byte, 1 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &s, sizeof s);
    CHECK(sendmsg(pair[0], &m, 0) == 1);
    close(s);
    usleep(100000);
    REFUSED(connect(second, (void *)&a, sizeof a), EEXIST);
    CHECK(recvmsg(pair[1], &m, 0) == 1);
    memcpy(&s, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof s);
    int value = 1;
    CHECK(!setsockopt(s, SOL_PPPOL2TP, PPPOL2TP_SO_LNSMODE, &value, 4));
    close(s), close(second);
    s = reconnect(30);
    CHECK(s >= 0);
    close(s);
}

/* As a program that was started with a session as its descriptor 0: fails with the number of the line. */
static int inherited(void)
{
    struct pppol2tp name;
    socklen_t length = sizeof name;
    int value = 0;
    if (getsockname(0, (void *)&name, &length) || name.s_session != 30) return 1;
    if (ioctl(0, PPPIOCGCHAN, &value) || value < 1) return 2;
    close(1), close(2);
    if (open("/dev/ppp", O_RDWR) != 1 || ioctl(1, PPPIOCATTCHAN, &value)) return 3;
    return 0;
}

static void nobody(void)
{
    int file = open("/dev/ppp", O_RDWR), status = -1;
    pid_t child = fork();
    if (!child) {
        int unit = -1;
        if (setresuid(65534, 65534, 65534)) _exit(1);
        if (open("/dev/ppp", O_RDWR) >= 0 || errno != EPERM) _exit(2);
        if (ioctl(file, PPPIOCNEWUNIT, &unit) == 0 || errno != EPERM) _exit(3);
        /* Sockets it may have, but not without end. */
        int sockets = 0;
        while (sockets < 100 && pppox() >= 0) sockets++;
        _exit(sockets == 64 && errno == EMFILE ? 0 : 4);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "%x", status);
    close(file);
}

/* A tunnel goes with its socket, and with it the session. */
static void end_of_tunnel(int udp, int m)
{
    int s = reconnect(50), index = 0, fd = open("/dev/ppp", O_RDWR), value = 0;
    struct pppol2tp name;
    socklen_t length = sizeof name, four = 4;
    CHECK(s >= 0 && !request(s, PPPIOCGCHAN, &index) && !request(fd, PPPIOCATTCHAN, &index));
    close(udp);
    CHECK(arrives(fd, "", 0), "a channel whose tunnel is gone");
    REFUSED(getsockname(s, (void *)&name, &length), EBADF);
    REFUSED(getsockopt(s, SOL_PPPOL2TP, PPPOL2TP_SO_DEBUG, &value, &four), ENOTCONN);
    struct pppol2tp a = address(-1, 10, 50, 20, 60);
    CHECK(connect(s, (void *)&a, sizeof a) < 0);
    close(fd), close(s), close(m);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "inherited")) return inherited();
    kinds();
    fresh();
    refused_connects();
    forms();
    int udp = tunnel_socket(0, 4000), wire = socket(AF_INET, SOCK_DGRAM, 0), m = pppox(), s = pppox();
    struct sockaddr_in near = loopback(4001), far = loopback(4000);
    CHECK(!bind(wire, (void *)&near, sizeof near) && !connect(wire, (void *)&far, sizeof far));
    struct pppol2tp a = address(udp, 10, 0, 20, 0);
    CHECK(!connect(m, (void *)&a, sizeof a));
    a = address(-1, 10, 11, 20, 21);
    CHECK(!connect(s, (void *)&a, sizeof a));
    options(m, s);
    requests(m, s);
    device(s, wire);
    copies(argv[0]);
    nobody();
    end_of_tunnel(udp, m);
    return finish();
}
