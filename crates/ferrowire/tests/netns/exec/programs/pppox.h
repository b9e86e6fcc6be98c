/* Addresses of PPPoL2TP sockets (linux/if_pppol2tp.h), and sockets for their tunnels. */
struct pppol2tp {
    unsigned short family;
    unsigned protocol;
    int pid, fd;
    struct sockaddr_in peer;
    unsigned short s_tunnel, s_session, d_tunnel, d_session;
} __attribute__((packed));

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static struct pppol2tp address(int fd, int s_tunnel, int s_session, int d_tunnel, int d_session)
{
    return (struct pppol2tp){ AF_PPPOX, PX_PROTO_OL2TP, 0, fd, loopback(4001), s_tunnel, s_session, d_tunnel, d_session };
}

static int pppox(void)
{
    return socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP);
}

/* A UDP socket of 127.0.0.1 or ::1 at `port`, connected to the port behind it. */
static int tunnel_socket(int six, int port)
{
    struct sockaddr_in a = loopback(port);
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr *at = six ? (void *)&a6 : (void *)&a;
    socklen_t length = six ? sizeof a6 : sizeof a;
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    CHECK(!bind(fd, at, length));
    a.sin_port = a6.sin6_port = htons(port + 1);
    CHECK(!connect(fd, at, length));
    return fd;
}

/* Any of the four forms, of a tunnel on the socket of tunnel_socket(six, s_tunnel + 2900); its length. */
static int any_address(char *b, int six, int v3, int fd, int s_tunnel, int s_session, int d_tunnel, int d_session)
{
    unsigned ids[4] = { s_tunnel, s_session, d_tunnel, d_session }, port = s_tunnel + 2901;
    struct sockaddr_in a = loopback(port);
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct pppol2tp head = address(fd, 0, 0, 0, 0);
    char *at = b + 14;
    memcpy(b, &head, 14);
    if (!six) memcpy(at, &a, sizeof a), at += sizeof a;
    for (int i = 0; i < 4; i++) {
        unsigned short narrow = ids[i];
        memcpy(at, v3 ? (void *)&ids[i] : (void *)&narrow, v3 ? 4 : 2), at += v3 ? 4 : 2;
    }
    if (six) memcpy(at, &a6, sizeof a6), at += sizeof a6;
    return at - b;
}
