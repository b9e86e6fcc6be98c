//! L2TPIP sockets, `socket(AF_INET or AF_INET6, SOCK_DGRAM, 115)`: the daemon has the socket, the program one end of a pair
//! of Unix sockets that stands for it.
//!
//! Every call but those of the pair goes to the daemon, which knows what the kernel would say; what is read comes in an
//! [`l2tp_abi::envelope`], which is taken off here. No raw socket is ever given to a program.

mod call;
mod data;
