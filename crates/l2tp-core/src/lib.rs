//! The L2TP subsystem as values: tunnels, sessions, receive and transmit, sans-IO.
