/* Brings a PPP unit up over a session of its own, says so, and waits to be killed. */
#include "netlink.h"
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>
#include "pppox.h"

int main(void)
{
    int u = tunnel_socket(0, 4000), unit = -1, channel;
    int management = pppox(), session = pppox(), file = open("/dev/ppp", O_RDWR), link = open("/dev/ppp", O_RDWR);
    struct pppol2tp tunnel = address(u, 10, 0, 20, 0), call = address(u, 10, 1, 20, 1);
    CHECK(!connect(management, (void *)&tunnel, sizeof tunnel) && !connect(session, (void *)&call, sizeof call));
    CHECK(!ioctl(session, PPPIOCGCHAN, &channel) && !ioctl(link, PPPIOCATTCHAN, &channel));
    CHECK(!ioctl(file, PPPIOCNEWUNIT, &unit) && !ioctl(link, PPPIOCCONNECT, &unit));
    if (failures) return 1;
    puts("up");
    fflush(stdout);
    pause();
    return 0;
}
