//! Edge: SIP on the wire.
