//! Requests in, replies out: the netlink server, sans-IO.
