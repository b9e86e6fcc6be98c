/* What generic netlink answers: families, policies, errors, batches, options, long dumps. */
#include "netlink.h"

static char b[4096], r[65536];

static int ask(int fd, int length) { return nl_send(fd, b, length) == length ? recv(fd, r, sizeof r, 0) : -1; }
static int error(void) { return ((struct nlmsghdr *)r)->nlmsg_type == NLMSG_ERROR ? *(int *)(r + 16) : 1; }

static void families(int fd, int l2tp)
{
    unsigned short id = l2tp, other;
    CHECK(l2tp > 16 && l2tp < 1024, "id %d", l2tp);
    int n = ask(fd, get_family(b, "l2tp", 0));
    CHECK(n == 276, "%d bytes", n);
    struct nlmsghdr *h = (void *)r;
    CHECK(h->nlmsg_type == GENL_ID_CTRL && !h->nlmsg_flags && h->nlmsg_seq == sequence && h->nlmsg_len == (unsigned)n);
    begin(b, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY);
    n = ask(fd, put(b, CTRL_ATTR_FAMILY_ID, &id, 2));
    CHECK(n == 276, "by id: %d", n);
    /* By both: the name wins. */
    other = GENL_ID_CTRL;
    begin(b, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY);
    put(b, CTRL_ATTR_FAMILY_ID, &other, 2);
    n = ask(fd, put(b, CTRL_ATTR_FAMILY_NAME, "l2tp", 5));
    CHECK(n == 276, "by both: %d", n);
    /* With NLM_F_ACK: an acknowledgement of its own behind the answer. */
    n = ask(fd, get_family(b, "l2tp", NLM_F_ACK));
    CHECK(n == 276 && acknowledged(fd) == 0);
    ask(fd, get_family(b, "no-such", 0));
    CHECK(error() == -ENOENT);
    n = ask(fd, get_family(b, "nlctrl", 0));
    CHECK(n > 60 && error() == 1, "nlctrl is the kernel's: %d", n);
    /* All of them: ours among the kernel's, once. */
    begin(b, GENL_ID_CTRL, NLM_F_DUMP, CTRL_CMD_GETFAMILY);
    nl_send(fd, b, 20);
    int all = 0, ours = 0, done = 0;
    while (!done && (n = recv(fd, r, sizeof r, 0)) > 0)
        for (h = (void *)r; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            done |= h->nlmsg_type == NLMSG_DONE;
            CHECK(h->nlmsg_seq == sequence && h->nlmsg_flags & NLM_F_MULTI);
            if (h->nlmsg_type == GENL_ID_CTRL) all++, ours += !strcmp((char *)(find((char *)h, CTRL_ATTR_FAMILY_NAME) + 1), "l2tp");
        }
    CHECK(all > 3 && ours == 1, "%d families, ours %d times", all, ours);
    /* Policies: all operations and rules, ending with DONE. */
    begin(b, GENL_ID_CTRL, NLM_F_DUMP, CTRL_CMD_GETPOLICY);
    nl_send(fd, b, put(b, CTRL_ATTR_FAMILY_ID, &id, 2));
    for (all = done = 0; !done && (n = recv(fd, r, sizeof r, 0)) > 0;)
        for (h = (void *)r; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            done |= h->nlmsg_type == NLMSG_DONE;
            if (h->nlmsg_type != GENL_ID_CTRL) continue;
            CHECK(*(unsigned short *)(find((char *)h, CTRL_ATTR_FAMILY_ID) + 1) == id);
            all++;
        }
    CHECK(all > 30, "%d policy messages", all);
}

static void errors(int fd, int l2tp)
{
    unsigned id = 7777;
    /* The error repeats the request, id and all, as it was sent. */
    int length = delete_tunnel(b, l2tp, id, NLM_F_ACK), n = ask(fd, length);
    CHECK(error() == -ENODEV && n == 20 + length && !memcmp(r + 20, b, length), "%d bytes", n);
    int one = 1;
    CHECK(!setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one));
    n = ask(fd, length);
    CHECK(error() == -ENODEV && n == 36 && ((struct nlmsghdr *)r)->nlmsg_flags == 0x100, "capped: %d bytes", n);
    one = 0;
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    one = 1;
    CHECK(!setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one));
    /* An attribute that is too short: with NETLINK_EXT_ACK, where it is. */
    begin(b, l2tp, NLM_F_ACK, TUNNEL_DELETE);
    length = put(b, CONN_ID, "x", 1);
    n = ask(fd, length);
    CHECK(error() == -ERANGE && n > 20 + length && ((struct nlmsghdr *)r)->nlmsg_flags & 0x200, "%d bytes", n);
    one = 0;
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
    n = ask(fd, length);
    CHECK(error() == -ERANGE && n == 20 + length, "without: %d bytes", n);
    /* Nothing comes of what is cut short, as in the kernel. */
    CHECK(nl_send(fd, b, 10) == 10 && recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    length = create_tunnel(b, l2tp, 50, NLM_F_ACK);
    CHECK(nl_send(fd, b, length - 8) == length - 8 && recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    /* More than a send buffer has room for. */
    static char much[300000];
    create_tunnel(much, l2tp, 51, NLM_F_ACK);
    CHECK(nl_send(fd, much, sizeof much) < 0 && errno == EMSGSIZE);
    /* Bad memory, both ways; the call fails, the socket goes on. */
    CHECK(nl_send(fd, (void *)8, 40) < 0 && errno == EFAULT);
    nl_send(fd, b, get_family(b, "l2tp", 0));
    CHECK(recv(fd, (void *)8, 400, 0) < 0 && errno == EFAULT);
    CHECK(ask(fd, get_family(b, "l2tp", 0)) == 276);
    CHECK(sendto(fd, b, 20, 0, (void *)"\x10\0\0\0", 4) < 0 && errno == EINVAL);
}

static void batches(int fd, int l2tp)
{
    int first = create_tunnel(b, l2tp, 500, NLM_F_ACK);
    int both = first + create_tunnel(b + first, l2tp, 500, NLM_F_ACK);
    CHECK(nl_send(fd, b, both) == both);
    int one = acknowledged(fd), two = acknowledged(fd);
    CHECK(one == 0 && two == -EEXIST, "%d %d", one, two);
    /* In parts, by sendmsg and writev. */
    int length = delete_tunnel(b, l2tp, 500, NLM_F_ACK);
    struct iovec parts[3] = { { b, 3 }, { b + 3, 0 }, { b + 3, length - 3 } };
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    struct msghdr m = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = parts, .msg_iovlen = 3 };
    CHECK(sendmsg(fd, &m, 0) == length && acknowledged(fd) == 0);
    CHECK(writev(fd, parts, 3) == length && acknowledged(fd) == -ENODEV);
    struct mmsghdr many[2] = { { .msg_hdr = m }, { .msg_hdr = m } };
    int sent = 0, n;
    while (sent < 2 && (n = sendmmsg(fd, many + sent, 2 - sent, 0)) > 0) {
        CHECK(many[sent].msg_len == (unsigned)length);
        sent += n;
    }
    CHECK(sent == 2 && acknowledged(fd) == -ENODEV && acknowledged(fd) == -ENODEV);
}

/* Thousands of tunnels in a dump, into a socket with room for a few. */
static void long_dump(int fd, int l2tp, int count)
{
    for (int i = 0; i < count; i++) {
        nl_send(fd, b, create_tunnel(b, l2tp, 10000 + i, NLM_F_ACK));
        int e = acknowledged(fd);
        if (e) { CHECK(e == 0, "tunnel %d: %d", i, e); return; }
    }
    int small = 1;
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    begin(b, l2tp, NLM_F_DUMP, TUNNEL_GET);
    double start = seconds();
    nl_send(fd, b, 20);
    int seen = 0, done = 0, n;
    while (!done && (n = recv(fd, r, sizeof r, 0)) > 0)
        for (struct nlmsghdr *h = (void *)r; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            done |= h->nlmsg_type == NLMSG_DONE;
            if (h->nlmsg_type != l2tp) continue;
            CHECK(*(unsigned *)(find((char *)h, CONN_ID) + 1) == 10000u + seen);
            seen++;
        }
    CHECK(seen == count && done, "%d tunnels", seen);
    CHECK(seconds() - start < 20, "slow");
    CHECK(recv(fd, r, sizeof r, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* Who asks and does not read is held back, and may go on when it has read. */
static void asks_and_does_not_read(int l2tp)
{
    int fd = nl_open(0), asked = 0, n;
    begin(b, l2tp, NLM_F_DUMP, TUNNEL_GET);
    while (asked < 1000 && nl_send(fd, b, 20) == 20) asked++;
    CHECK(asked > 1 && asked < 1000 && errno == ENOBUFS, "%d", asked);
    int done = 0;
    while (done < asked && (n = recv(fd, r, sizeof r, 0)) > 0)
        for (struct nlmsghdr *h = (void *)r; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) done += h->nlmsg_type == NLMSG_DONE;
    CHECK(done == asked && family_id(fd, "l2tp") == l2tp, "%d of %d", done, asked);
    close(fd);
}

/* Who listens and does not read is told once that notifications were lost, before those that were not. */
static void listens_and_does_not_read(int fd, int l2tp)
{
    int ear = nl_open(0), small = 0, heard = 0, n;
    unsigned group = group_id(ear, "l2tp");
    CHECK(!setsockopt(ear, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    CHECK(!setsockopt(ear, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group));
    for (int i = 0; i < 32; i++) {
        nl_send(fd, b, create_tunnel(b, l2tp, 9000 + i, NLM_F_ACK));
        CHECK(acknowledged(fd) == 0);
    }
    usleep(200000); /* They come over another connection than the acknowledgements. */
    CHECK(recv(ear, r, sizeof r, MSG_DONTWAIT) < 0 && errno == ENOBUFS, "%d", errno);
    while ((n = recv(ear, r, sizeof r, MSG_DONTWAIT)) > 0) heard++;
    CHECK(errno == EAGAIN && heard > 0 && heard < 32, "%d heard", heard);
    nl_send(fd, b, create_tunnel(b, l2tp, 9999, NLM_F_ACK));
    CHECK(acknowledged(fd) == 0);
    n = recv(ear, r, sizeof r, 0);
    CHECK(n > 0 && *(unsigned *)(find(r, CONN_ID) + 1) == 9999, "%d bytes", n);
    close(ear);
}

int main(int argc, char **argv)
{
    int fd = nl_open(0), l2tp = family_id(fd, "l2tp");
    families(fd, l2tp);
    errors(fd, l2tp);
    batches(fd, l2tp);
    long_dump(fd, l2tp, argc > 1 ? atoi(argv[1]) : 0);
    asks_and_does_not_read(l2tp);
    listens_and_does_not_read(fd, l2tp);
    return finish();
}
