//! Tunnels and sessions for programs: typed requests to Ferrowire's daemon, or to the kernel's own L2TP where there is one.
//!
//! ```no_run
//! use l2tp_client::{Connection, SessionCreate, SessionKey, TunnelCreate};
//!
//! let mut connection = Connection::door()?; // or Connection::kernel()
//! connection.create_tunnel(&TunnelCreate::udp(1, 2, "192.0.2.1:5000".parse()?, "192.0.2.2:5001".parse()?))?;
//! connection.create_session(&SessionCreate::ethernet(1, 10, 20))?;
//! let session = connection.session(&SessionKey::Ids { conn_id: 1, session_id: 10 })?;
//! println!("device {:?}", session.ifname);
//! for tunnel in connection.tunnels()? {
//!     println!("tunnel {}", tunnel?.conn_id);
//! }
//! connection.delete_tunnel(1)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The whole program is in `examples/pseudowire.rs`. What one has to know:
//!
//! - **Namespace.** A connection is to the network namespace in which the calling thread is when it is opened, and stays
//!   there. It takes `CAP_NET_ADMIN` there, in the user namespace that owns it.
//! - **Errors.** [`Error::Refused`] is the server's answer: errno, and its words and place where it gives them.
//!   [`Error::Io`] says that there was none.
//! - **A program's own socket.** [`Connection::create_tunnel_on`] makes a managed tunnel: control messages stay the program's,
//!   data goes to the sessions, and the tunnel ends with the last descriptor of the socket.
//! - **Time.** A request waits [`TIMEOUT`] for each datagram of its answer unless [`Connection::set_timeout`] says otherwise.
//!   Whether a request that ran out of time was carried out is not known. The connection goes on: a late answer is passed
//!   over.
//! - **One request at a time.** A connection is not shared between threads; each may open its own.
//! - **PPP.** [`ppp::Ppp`] opens PPPoL2TP sockets and files of `/dev/ppp` for programs that speak PPP themselves.
//! - **Events.** [`Events`] tells of tunnels and sessions as they come, change and go.

mod answers;
mod connection;
mod conversation;
mod error;
mod event;
mod events;
mod operator;
pub mod ppp;
mod socket;

pub use answers::Answers;
pub use connection::Connection;
pub use conversation::{Transport, Warning};
pub use error::Error;
pub use event::{Change, Event};
pub use events::Events;
pub use l2tp_abi::Errno;
pub use l2tp_abi::genl::ferrowire::path::{Path, PathReport, PathRequest};
pub use l2tp_abi::genl::l2tp::{
    Request, SessionCreate, SessionKey, SessionMessage, SessionModify, Stats, TunnelCreate, TunnelMessage,
    TunnelSocket,
};
pub use socket::{Socket, TIMEOUT};
