/* Sockets shared by threads, children and strangers. */
#include "netlink.h"

static char b[4096], r[65536];

static int works(int fd)
{
    int n = get_family(b, "l2tp", 0);
    return nl_send(fd, b, n) == n && recv(fd, r, sizeof r, 0) == 276;
}

/* Round trips on a socket of its own, to a family of ours and one of the kernel's in turn. */
static void *round_trips(void *number)
{
    long bad = 0;
    int fd = nl_open(0);
    char out[512], in[8192];
    for (int i = 0; i < 300; i++) {
        unsigned want = ((struct nlmsghdr *)out)->nlmsg_seq;
        int n = get_family(out, i & 1 ? "l2tp" : "nlctrl", 0);
        want = ((struct nlmsghdr *)out)->nlmsg_seq = (unsigned)(long)number * 100000 + i;
        if (nl_send(fd, out, n) != n || recv(fd, in, sizeof in, 0) < 60) { bad++; continue; }
        bad += ((struct nlmsghdr *)in)->nlmsg_seq != want || ((struct nlmsghdr *)in)->nlmsg_type != GENL_ID_CTRL;
    }
    close(fd);
    return (void *)bad;
}

static void threads(void)
{
    pthread_t all[8];
    long bad = 0;
    for (long i = 0; i < 8; i++) pthread_create(&all[i], 0, round_trips, (void *)(i + 1));
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(all[i], &result);
        bad += (long)result;
    }
    CHECK(bad == 0, "%ld wrong answers", bad);
}

static int shared;
static void *reader(void *count)
{
    long bad = 0;
    for (long i = 0; i < (long)count; i++) {
        struct sockaddr_nl from = { 0 };
        char in[8192];
        struct iovec part = { in, sizeof in };
        struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1 };
        bad += recvmsg(shared, &m, 0) != 276 || from.nl_pid != 0;
    }
    return (void *)bad;
}

/* One thread waits for what another asks. */
static void one_socket_for_two(void)
{
    pthread_t thread;
    shared = nl_open(0);
    pthread_create(&thread, 0, reader, (void *)100L);
    usleep(50000);
    for (int i = 0; i < 100; i++) {
        int n = get_family(b, "l2tp", 0);
        CHECK(nl_send(shared, b, n) == n);
        if (i % 10 == 0) usleep(2000);
    }
    void *bad;
    pthread_join(thread, &bad);
    CHECK((long)bad == 0, "%ld answers were not from the kernel's address", (long)bad);
    close(shared);
}

static void *asker(void *count)
{
    char out[512];
    long bad = 0;
    usleep(50000);
    for (long i = 0; i < (long)count; i++) {
        int n = get_family(out, "l2tp", 0);
        bad += nl_send(shared, out, n) != n;
    }
    return (void *)bad;
}

/* And the other way round: the thread that opened it waits. */
static void the_opener_waits(void)
{
    pthread_t thread;
    shared = nl_open(0);
    pthread_create(&thread, 0, asker, (void *)20L);
    long bad = (long)reader((void *)20L);
    void *result;
    pthread_join(thread, &result);
    CHECK(bad == 0 && !result, "%ld answers were not from the kernel's address", bad);
    close(shared);
}

static void copies(int fd)
{
    int one = dup(fd), two = fcntl(fd, F_DUPFD_CLOEXEC, 3), three = fcntl(fd, F_DUPFD, fd + 20);
    CHECK(one >= 0 && one != fd && works(one));
    CHECK(two >= 0 && fcntl(two, F_GETFD) & FD_CLOEXEC && works(two));
    CHECK(three >= fd + 20 && works(three), "%d", three);
    int four = fd + 30;
    CHECK(dup2(fd, four) == four && works(four));
    close(one), close(two), close(three), close(four);
    CHECK(works(fd), "closing copies does nothing");
    /* At a low number it is the kernel's socket, which knows no such family. */
    int low = dup2(fd, 40), n = get_family(b, "l2tp", 0);
    CHECK(low == 40 && nl_send(low, b, n) == n && acknowledged(low) == -ENOENT);
    n = get_family(b, "nlctrl", 0);
    CHECK(nl_send(low, b, n) == n && recv(low, r, sizeof r, 0) > 60);
    close(low);
}

static int wait_for(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void children(int fd, char *own)
{
    char number[16];
    sprintf(number, "%d", fd);
    pid_t child = fork();
    if (!child) {
        int own_socket = nl_open(0);
        _exit(!(works(fd) && works(own_socket)));
    }
    CHECK(wait_for(child) == 0, "fork");
    child = vfork();
    if (!child) {
        execl(own, own, "child", number, (char *)0);
        _exit(127);
    }
    CHECK(wait_for(child) == 0, "vfork and exec");
    CHECK(works(fd));
}

/* Over SCM_RIGHTS it gets the lowest number: the kernel's socket, as with dup2. */
static void passed_on(int fd)
{
    int pair[2], got = -1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    char byte = 'x';
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { { 0 } };
    struct iovec part = { &byte, 1 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK(sendmsg(pair[0], &m, 0) == 1 && recvmsg(pair[1], &m, 0) == 1);
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof got);
    int n = get_family(b, "nlctrl", 0);
    CHECK(got >= 0 && nl_send(got, b, n) == n && recv(got, r, sizeof r, 0) > 60, "%d", got);
    /* Moved back, it is ours again. */
    int back = dup2(got, fd + 40);
    CHECK(back == fd + 40 && works(back));
    close(got), close(back), close(pair[0]), close(pair[1]);
}

int main(int argc, char **argv)
{
    if (argc > 2) return !works(atoi(argv[2]));
    int fd = nl_open(0);
    CHECK(works(fd));
    threads();
    one_socket_for_two();
    the_opener_waits();
    copies(fd);
    children(fd, argv[0]);
    passed_on(fd);
    /* Many at the same time, and as many again when those are closed. */
    for (int round = 0; round < 3; round++) {
        int many[300];
        for (int i = 0; i < 300; i++) { many[i] = nl_open(0); CHECK(many[i] >= 0 && works(many[i]), "number %d", i); }
        for (int i = 0; i < 300; i++) close(many[i]);
    }
    return finish();
}
