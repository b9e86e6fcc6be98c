//! Frames as they are (packet(7)).
