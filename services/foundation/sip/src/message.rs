//! SIP messages as they lie in the receive buffer.
//!
//! ```text
//! datagram -> Table::parse_datagram --+
//!                                     +-> Message -> Keys -> check_request ... -> a Refusal, or on it goes
//! stream -> StreamFramer::next -------+
//! ```
//!
//! Nothing is copied: a [`Table`] holds offsets into the buffer and is used again for the next message. What a
//! proxy does not read is not looked into, and is forwarded byte for byte.
//!
//! Limits: 65,535 bytes a message, 8 KiB a line, 96 header lines.

mod classes;
mod cursor;
mod field;
mod header;
mod keys;
mod scan;
mod stream;
mod table;
mod uri;
mod validate;

pub(crate) use field::list_ranges;
pub use field::{Addr, CSeq, FieldError, MAGIC_COOKIE, Params, Via, addresses, list, number, unquote};
pub use header::Header;
pub use keys::{KeyError, Keys};
pub use stream::{Framed, StreamError, StreamFramer};
pub use table::{Line, Message, ParseError, Start, Table};
pub use uri::{Scheme, Uri, UriError, host_address, unescape};
pub use validate::{Refusal, check_extensions, check_forwarding, check_request, check_request_uri};

/// The most bytes of a message: what a UDP datagram can carry.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most bytes of a line, folded lines counted together.
pub const LINE_BYTES_MAX: usize = 8 * 1024;
/// The most header lines.
pub const HEADERS_MAX: usize = 96;
