/* What the test programs share: generic netlink by hand, as small programs do it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <arpa/inet.h>

static int failures;

/* Fails the program, but goes on: the rest is told too. */
#define CHECK(what, ...) do { \
    if (!(what)) { failures++; printf("line %d: not so: %s; ", __LINE__, #what); printf("" __VA_ARGS__); \
        printf(" (errno %s)\n", strerror(errno)); fflush(stdout); } } while (0)

/* The family's commands and attributes (linux/l2tp.h). */
enum { TUNNEL_CREATE = 1, TUNNEL_DELETE, TUNNEL_MODIFY, TUNNEL_GET };
enum { ENCAP_TYPE = 2, PROTO_VERSION = 7, CONN_ID = 9, PEER_CONN_ID = 10, IP_SADDR = 24, IP_DADDR = 25 };

static unsigned sequence = 100;

static int nl_open(int flags)
{
    struct sockaddr_nl own = { .nl_family = AF_NETLINK };
    int fd = socket(AF_NETLINK, SOCK_RAW | flags, NETLINK_GENERIC);
    if (fd >= 0 && bind(fd, (void *)&own, sizeof own)) { perror("bind"); exit(1); }
    return fd;
}

/* Begins a message; returns its length so far. */
static int begin(char *b, int type, int flags, int command)
{
    struct nlmsghdr *h = (void *)b;
    memset(b, 0, 20);
    *h = (struct nlmsghdr){ .nlmsg_len = 20, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++sequence };
    b[16] = command;
    b[17] = 1;
    return 20;
}

static int put(char *b, int type, const void *data, int length)
{
    struct nlmsghdr *h = (void *)b;
    struct nlattr *a = (void *)(b + NLMSG_ALIGN(h->nlmsg_len));
    memset(a, 0, NLA_HDRLEN + NLA_ALIGN(length));
    a->nla_len = NLA_HDRLEN + length;
    a->nla_type = type;
    memcpy((char *)a + NLA_HDRLEN, data, length);
    h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + NLA_HDRLEN + NLA_ALIGN(length);
    return h->nlmsg_len;
}

static int get_family(char *b, const char *name, int flags)
{
    begin(b, GENL_ID_CTRL, flags, CTRL_CMD_GETFAMILY);
    return put(b, CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
}

static int nl_send(int fd, const void *b, int length)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    return sendto(fd, b, length, 0, (void *)&kernel, sizeof kernel);
}

static struct nlattr *find(char *message, int type)
{
    struct nlmsghdr *h = (void *)message;
    char *end = message + h->nlmsg_len;
    for (char *at = message + 20; at + NLA_HDRLEN <= end; at += NLA_ALIGN(((struct nlattr *)at)->nla_len))
        if ((((struct nlattr *)at)->nla_type & NLA_TYPE_MASK) == type) return (void *)at;
    return NULL;
}

/* The id of a family; 0 if there is none. */
static int family_id(int fd, const char *name)
{
    char b[256], r[8192];
    nl_send(fd, b, get_family(b, name, 0));
    if (recv(fd, r, sizeof r, 0) < 20 || ((struct nlmsghdr *)r)->nlmsg_type != GENL_ID_CTRL) return 0;
    struct nlattr *id = find(r, CTRL_ATTR_FAMILY_ID);
    return id ? *(unsigned short *)(id + 1) : 0;
}

/* The id of a family's first multicast group. */
static unsigned group_id(int fd, const char *name)
{
    char b[256], r[8192];
    nl_send(fd, b, get_family(b, name, 0));
    if (recv(fd, r, sizeof r, 0) < 20) return 0;
    struct nlattr *groups = find(r, CTRL_ATTR_MCAST_GROUPS);
    if (!groups) return 0;
    char *first = (char *)groups + 8, *end = first - 4 + ((struct nlattr *)(first - 4))->nla_len;
    for (char *at = first; at < end; at += NLA_ALIGN(((struct nlattr *)at)->nla_len))
        if (((struct nlattr *)at)->nla_type == CTRL_ATTR_MCAST_GRP_ID) return *(unsigned *)(at + 4);
    return 0;
}

/* A request for an IP tunnel from 127.0.0.1 to itself. */
static int create_tunnel(char *b, int family, unsigned id, int flags)
{
    unsigned peer = id + 1, address = htonl(INADDR_LOOPBACK);
    unsigned char version = 3;
    unsigned short encap = 1;
    begin(b, family, flags, TUNNEL_CREATE);
    put(b, CONN_ID, &id, 4);
    put(b, PEER_CONN_ID, &peer, 4);
    put(b, PROTO_VERSION, &version, 1);
    put(b, ENCAP_TYPE, &encap, 2);
    put(b, IP_SADDR, &address, 4);
    return put(b, IP_DADDR, &address, 4);
}

static int delete_tunnel(char *b, int family, unsigned id, int flags)
{
    begin(b, family, flags, TUNNEL_DELETE);
    return put(b, CONN_ID, &id, 4);
}

/* The error that an acknowledgement carries, negated; -9999 if nothing came, -9998 if something else did. */
static int acknowledged(int fd)
{
    char r[4096];
    int n = recv(fd, r, sizeof r, 0);
    if (n < 20) return -9999;
    return ((struct nlmsghdr *)r)->nlmsg_type == NLMSG_ERROR ? *(int *)(r + 16) : -9998;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int finish(void)
{
    if (!failures) puts("all as it should be");
    return failures != 0;
}
