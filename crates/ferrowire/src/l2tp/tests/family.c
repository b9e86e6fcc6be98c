/* Preloaded into `ip`: the lookup of the family "l2tp" becomes one of "nlctrl", which every kernel has. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t (*next)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
	struct nlmsghdr *header = message->msg_iov[0].iov_base;
	static const char name[8] = "nlctrl";

	if (header->nlmsg_type == GENL_ID_CTRL) {
		char *at = memmem(header, header->nlmsg_len, "l2tp", 5);

		/* The longer name fits: iproute2 builds the request at the start of a buffer of a kilobyte. */
		if (at) {
			((struct nlattr *)(at - NLA_HDRLEN))->nla_len = NLA_HDRLEN + 7;
			memcpy(at, name, sizeof(name));
			header->nlmsg_len = at + sizeof(name) - (char *)header;
			message->msg_iov[0].iov_len = header->nlmsg_len;
		}
	}
	return next(fd, message, flags);
}
