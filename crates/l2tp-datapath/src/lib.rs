//! Workers that carry frames between sockets and devices.
