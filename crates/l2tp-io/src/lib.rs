//! The door to the operating system: sockets, TAP, rtnetlink, namespaces.
