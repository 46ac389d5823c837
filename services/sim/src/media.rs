//! Audio as far as signalling needs it: SDP that says truthfully who receives where, and ten RTP packets each way
//! that show which way audio goes.
//!
//! Every leg that has audio in an element has a [`Port`] of its own, as real endpoints have. What arrives is counted
//! by the address it came from, so that the sites that media crosses are observed and not derived from settings.

mod rtp;
mod sdp;

pub(crate) use rtp::{Flow, Port, PortError};
pub(crate) use sdp::{Answerable, Flowing, answerable, read, write};
