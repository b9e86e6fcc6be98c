/* How a program waits for answers and takes them. */
#include "netlink.h"

static char b[4096], r[65536];
static volatile int signals;
static void on_signal(int n) { (void)n; signals++; }
static int l2tp;

static void question(int fd) { int n = get_family(b, "l2tp", 0); CHECK(nl_send(fd, b, n) == n); }

static void polling(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(poll(&p, 1, 0) == 0);
    int level = epoll_create1(0), edge = epoll_create1(0);
    struct epoll_event lt = { .events = EPOLLIN }, et = { .events = EPOLLIN | EPOLLET }, got;
    CHECK(!epoll_ctl(level, EPOLL_CTL_ADD, fd, &lt) && !epoll_ctl(edge, EPOLL_CTL_ADD, fd, &et));
    CHECK(epoll_wait(level, &got, 1, 0) == 0 && epoll_wait(edge, &got, 1, 0) == 0);
    question(fd);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    fd_set set;
    FD_ZERO(&set);
    CHECK(fd < FD_SETSIZE);
    FD_SET(fd, &set);
    struct timeval none = { 0, 0 };
    CHECK(select(fd + 1, &set, 0, 0, &none) == 1);
    CHECK(epoll_wait(level, &got, 1, 0) == 1 && epoll_wait(level, &got, 1, 0) == 1);
    CHECK(epoll_wait(edge, &got, 1, 0) == 1 && epoll_wait(edge, &got, 1, 0) == 0);
    question(fd);
    CHECK(epoll_wait(edge, &got, 1, 0) == 1, "a second answer is a second edge");
    CHECK(recv(fd, r, sizeof r, 0) == 276 && recv(fd, r, sizeof r, 0) == 276);
    CHECK(poll(&p, 1, 0) == 0 && epoll_wait(level, &got, 1, 0) == 0);
    close(level);
    close(edge);
}

/* The sizes first, then the rest: as iproute2 and libnl read. */
static void peeking(int fd)
{
    struct sockaddr_nl from;
    struct iovec part = { 0, 0 };
    memset(&from, 9, sizeof from);
    struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1 };
    question(fd);
    int n = recvmsg(fd, &m, MSG_PEEK | MSG_TRUNC);
    CHECK(n == 276 && m.msg_flags & MSG_TRUNC && m.msg_namelen == 12 && from.nl_pid == 0 && from.nl_family == AF_NETLINK, "%d", n);
    char control[64];
    part = (struct iovec){ r, sizeof r };
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    n = recvmsg(fd, &m, 0);
    CHECK(n == 276 && !m.msg_flags && m.msg_controllen == 0 && from.nl_pid == 0 && from.nl_groups == 0, "%d", n);
    question(fd);
    CHECK(recv(fd, r, 24, 0) == 24, "cut");
    CHECK(recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN, "and the rest is gone");
    question(fd);
    CHECK(recv(fd, r, 24, MSG_TRUNC) == 276);
    question(fd);
    CHECK(read(fd, r, sizeof r) == 276);
    question(fd);
    struct iovec two[2] = { { r, 100 }, { r + 1000, 1000 } };
    CHECK(readv(fd, two, 2) == 276 && ((struct nlmsghdr *)r)->nlmsg_len == 276);
    question(fd);
    socklen_t length = 6;
    memset(&from, 9, sizeof from);
    CHECK(recvfrom(fd, r, sizeof r, 0, (void *)&from, &length) == 276 && length == 12 && from.nl_family == AF_NETLINK);
    CHECK(from.nl_pid == 0x09090000, "no more than there was room for: %x", from.nl_pid);
    question(fd);
    question(fd);
    struct mmsghdr many[4];
    struct iovec rooms[4];
    memset(many, 0, sizeof many);
    for (int i = 0; i < 4; i++) {
        rooms[i] = (struct iovec){ r + 8192 * i, 8192 };
        many[i].msg_hdr = (struct msghdr){ .msg_iov = &rooms[i], .msg_iovlen = 1 };
    }
    int got = 0;
    while ((n = recvmmsg(fd, many + got, 4 - got, MSG_DONTWAIT, 0)) > 0) got += n;
    CHECK(got == 2 && many[0].msg_len == 276 && many[1].msg_len == 276, "%d", got);
}

static void options(void)
{
    int fd = nl_open(SOCK_NONBLOCK | SOCK_CLOEXEC), value = 0;
    socklen_t length = sizeof value;
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(recv(fd, r, 100, 0) < 0 && errno == EAGAIN);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) && value == SOCK_RAW);
    CHECK(!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length) && value == NETLINK_GENERIC);
    close(fd);
    fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_GENERIC);
    CHECK(!fcntl(fd, F_GETFD) && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) && value == SOCK_DGRAM);
    /* Never bound: the first request gives it the process's number, or another if that is taken. */
    struct sockaddr_nl own;
    length = sizeof own;
    question(fd);
    CHECK(recv(fd, r, sizeof r, 0) == 276);
    CHECK(!getsockname(fd, (void *)&own, &length) && own.nl_pid && ((struct nlmsghdr *)r)->nlmsg_pid == own.nl_pid);
    /* Connected to the kernel: send() and write() need no address. */
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    CHECK(!connect(fd, (void *)&kernel, sizeof kernel));
    int n = get_family(b, "l2tp", 0);
    CHECK(send(fd, b, n, 0) == n && recv(fd, r, sizeof r, 0) == 276);
    n = get_family(b, "nlctrl", 0);
    CHECK(write(fd, b, n) == n && recv(fd, r, sizeof r, 0) > 60);
    close(fd);
    /* A port id of its own choice; taken twice. */
    struct sockaddr_nl chosen = { .nl_family = AF_NETLINK, .nl_pid = getpid() | 77 << 22 };
    int one = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), two = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    CHECK(!bind(one, (void *)&chosen, sizeof chosen));
    CHECK(bind(two, (void *)&chosen, sizeof chosen) < 0 && errno == EADDRINUSE);
    question(one);
    CHECK(recv(one, r, sizeof r, 0) == 276 && ((struct nlmsghdr *)r)->nlmsg_pid == chosen.nl_pid);
    /* Free as soon as it is closed. */
    close(one);
    CHECK(!bind(two, (void *)&chosen, sizeof chosen));
    close(two);
}

static void timeouts(int fd)
{
    struct timeval short_time = { 0, 200000 }, none = { 0, 0 };
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time));
    double start = seconds();
    CHECK(recv(fd, r, sizeof r, 0) < 0 && errno == EAGAIN);
    double took = seconds() - start;
    CHECK(took > 0.19 && took < 5, "%f", took);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
}

/* A signal ends a wait; with SA_RESTART it does not. */
static void interruptions(int fd)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct itimerval soon = { { 0, 0 }, { 0, 100000 } };
    signals = 0;
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &soon, 0);
    CHECK(recv(fd, r, sizeof r, 0) < 0 && errno == EINTR && signals == 1, "%d signals", signals);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &soon, 0);
    struct timeval second = { 1, 0 }, none = { 0, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    /* netlink_recvmsg: with a timeout a signal always ends the wait. */
    CHECK(recv(fd, r, sizeof r, 0) < 0 && errno == EINTR && signals == 2, "%d signals", signals);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
}

/* Hears of tunnels, waiting in recvmsg. */
static void membership(void)
{
    int fd = nl_open(0), other = nl_open(0);
    unsigned group = group_id(fd, "l2tp"), wrong = group + 12345;
    CHECK(group > 0);
    CHECK(!setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group));
    CHECK(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &wrong, sizeof wrong) < 0 && errno == EINVAL);
    pid_t child = fork();
    if (!child) {
        usleep(300000);
        nl_send(other, b, create_tunnel(b, l2tp, 900, NLM_F_ACK));
        int e = acknowledged(other);
        nl_send(other, b, delete_tunnel(b, l2tp, 900, NLM_F_ACK));
        _exit(e || acknowledged(other));
    }
    for (int command = TUNNEL_CREATE; command <= TUNNEL_DELETE; command++) {
        struct sockaddr_nl from;
        struct iovec part = { r, sizeof r };
        struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1 };
        int n = recvmsg(fd, &m, 0);
        CHECK(n > 60 && ((struct nlmsghdr *)r)->nlmsg_type == l2tp && r[16] == command && from.nl_pid == 0, "%d, command %d", n, r[16]);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    /* A member that waits is interrupted like any other. */
    interruptions(fd);
    timeouts(fd);
    CHECK(!setsockopt(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof group));
    nl_send(other, b, create_tunnel(b, l2tp, 901, NLM_F_ACK));
    acknowledged(other);
    nl_send(other, b, delete_tunnel(b, l2tp, 901, NLM_F_ACK));
    acknowledged(other);
    CHECK(recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    close(fd);
    close(other);
}

/* Whoever waits with the supervisor dies at once of what kills it. */
static void deaths(void)
{
    int fatal[] = { SIGINT, SIGTERM, SIGQUIT, SIGKILL };
    for (int i = 0; i < 4; i++) {
        int fd = nl_open(0);
        unsigned group = group_id(fd, "l2tp");
        setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
        pid_t child = fork();
        if (!child) {
            for (int n = 0; n < 4; n++) signal(fatal[n], SIG_DFL);
            recv(fd, r, sizeof r, 0);
            _exit(0);
        }
        usleep(100000);
        double start = seconds();
        int status;
        kill(child, fatal[i]);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == fatal[i]);
        CHECK(seconds() - start < 5);
        close(fd);
    }
}

/* Signals all the time: no request is carried out twice, no answer lost. */
static void storm(int restart)
{
    int fd = nl_open(0), other = 0;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0 };
    sigaction(SIGALRM, &action, 0);
    struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { 0 };
    signals = 0;
    setitimer(ITIMER_REAL, &often, 0);
    for (int i = 0; i < 500; i++) {
        for (int deletes = 0; deletes < 2; deletes++) {
            int e, n = deletes ? delete_tunnel(b, l2tp, 70000, NLM_F_ACK) : create_tunnel(b, l2tp, 70000, NLM_F_ACK);
            while (nl_send(fd, b, n) < 0) if (errno != EINTR) { other++; break; }
            while ((e = acknowledged(fd)) == -9999) if (errno != EINTR) { other++; break; }
            if (e) { other++; printf("%s %d: %d\n", deletes ? "delete" : "create", i, e); }
        }
    }
    setitimer(ITIMER_REAL, &never, 0);
    CHECK(other == 0 && signals > 50, "%d wrong answers, %d signals", other, signals);
    CHECK(recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    close(fd);
}

int main(void)
{
    int fd = nl_open(0);
    l2tp = family_id(fd, "l2tp");
    polling(fd);
    peeking(fd);
    options();
    timeouts(fd);
    interruptions(fd);
    membership();
    deaths();
    storm(0);
    storm(1);
    return finish();
}
