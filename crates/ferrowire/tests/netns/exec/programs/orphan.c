/* What is left to a program whose supervisor was killed: all but the calls that are trapped. */
#include "netlink.h"
#include <netinet/in.h>

int main(void)
{
    char byte;
    CHECK(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) < 0 && errno == ENOSYS);
    CHECK(socket(AF_INET, SOCK_DGRAM, 115) < 0 && errno == ENOSYS);
    CHECK(open("/proc/version", O_RDONLY) < 0 && errno == ENOSYS);
    int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, &byte, 1) == 1);
    struct sockaddr_nl own = { .nl_family = AF_NETLINK };
    fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    CHECK(fd >= 0 && !bind(fd, (void *)&own, sizeof own));
    CHECK(socket(AF_INET, SOCK_DGRAM, 0) >= 0 && socket(AF_INET, SOCK_RAW, IPPROTO_UDP) >= 0);
    CHECK(dup(1) >= 0 && fcntl(1, F_DUPFD, 10) >= 10);
    return finish();
}
