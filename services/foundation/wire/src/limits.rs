//! How large what comes in may be. Lengths of text are bytes of UTF-8 unless they say characters.
//!
//! Every limit is far above what the vendors' tools allow and far below what could harm: a request is refused by
//! name before anything is built from it. Names of things (tenant, user, station) have their limits where they are
//! defined, in `tandem_domain::id`.

/// `called`, `caller`, `asserted` and `forwarded_by` of a call: URIs. RFC 3261 gives none; a Request-URI of more than
/// a few hundred bytes does not fit the datagrams that it must travel in.
pub const URI_BYTES_MAX: usize = 512;

/// A Call-ID: RFC 3261 gives no limit; the vendors stay below 128.
pub const CALL_ID_BYTES_MAX: usize = 256;

/// The trunk or user that a call attempt names: a user id of 128 characters of up to 4 bytes.
pub const INGRESS_BYTES_MAX: usize = 512;

/// A `CallAttempt` that is read in place and kept as it came: twice what one within the limits above can have, keys
/// and lengths included.
pub const ATTEMPT_BYTES_MAX: usize = 8 * 1024;

/// An index of History-Info: 32 levels of one digit, far more than a call is forwarded.
pub const HISTORY_INDEX_BYTES_MAX: usize = 64;

/// How often a call may have been forwarded: what one byte counts.
pub const FORWARDS_MAX: u32 = 255;

/// A display name: Active Directory's own limit is 256 characters; up to 4 bytes each.
pub const DISPLAY_NAME_BYTES_MAX: usize = 1024;

/// A user's name in Interaction Administrator, a vendor's name, an NT domain account: one line of a form.
pub const ACCOUNT_BYTES_MAX: usize = 256;

/// A SIP address, Line URI, line server or contact address: msRTCSIP attributes hold at most 454 characters.
pub const ADDRESS_BYTES_MAX: usize = 512;

/// A telephone number as people write it, with separators and an extension.
pub const NUMBER_BYTES_MAX: usize = 64;

/// Members of a workgroup.
pub const MEMBERS_MAX: usize = 10_000;

/// All members of a workgroup together: a record must fit a commit of 1 MiB with room for what is around it.
pub const MEMBERS_BYTES_MAX: usize = 768 * 1024;

/// Entries of one chunk of the feed, as a commit has at most 512 writes and a snapshot gains nothing by more.
pub const CHUNK_ENTRIES_MAX: usize = 512;

/// Encoded bytes of one chunk of the feed after which the next begins. One entry may go beyond it (a workgroup of
/// the largest size); the 4 MiB of a message are never reached.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// A record's key: the longest is an ingress claim's, which holds a domain and a listener.
pub const KEY_BYTES_MAX: usize = 1024;

/// A domain or certificate name of an ingress claim. A DNS name has at most 253; a URI SAN may be longer.
pub const CLAIMED_BYTES_MAX: usize = 512;

/// The kind of a chunk: names of kinds are short words.
pub const KIND_BYTES_MAX: usize = 64;

/// A W3C traceparent of version 00 has 55 characters; later versions may add to it.
pub const TRACEPARENT_BYTES_MAX: usize = 128;

/// Users whose plug-in an explanation takes for connected.
pub const PLUG_INS_MAX: usize = 100;

/// Longest silence that an explanation may assume, in seconds: a week.
pub const SILENT_SECONDS_MAX: u32 = 7 * 24 * 3600;

/// Addresses that a caller says are silent: four trunks of sixteen addresses.
pub const SILENT_MAX: usize = 64;

/// The host of an address: a DNS name has at most 253 characters.
pub const HOST_BYTES_MAX: usize = 255;

/// A page without a size.
pub const PAGE_SIZE_DEFAULT: u32 = 50;

/// The largest page.
pub const PAGE_SIZE_MAX: u32 = 1_000;

/// A page token: position and signature.
pub const PAGE_TOKEN_BYTES_MAX: usize = 2_048;

/// A bearer token. Longer ones are refused unread: hashing costs by length.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// A request id: a UUID's text.
pub const REQUEST_ID_BYTES_MAX: usize = 36;

/// An edge's id and version, as it says them of itself.
pub const EDGE_BYTES_MAX: usize = 256;

/// Tenants that an edge names, and may serve: all of a cell.
pub const HELLO_TENANTS_MAX: usize = 10_000;

/// Listeners of one edge.
pub const LISTENERS_MAX: usize = 64;

/// Why an edge could not take a chunk: some violations as text.
pub const REJECTION_BYTES_MAX: usize = 4_096;

/// Events of calls in one message: what an edge under full load has in a moment; it counts what it drops.
pub const CALL_EVENTS_MAX: usize = 1_024;

/// Encoded bytes of such a message after which the next begins. One event stays below 32 KiB.
pub const CALL_EVENTS_BYTES: usize = 1024 * 1024;

/// A message of an edge, encoded: events of calls with what stands around them.
pub const FEED_BYTES_MAX: usize = CALL_EVENTS_BYTES + 64 * 1024;

/// A decision that an edge made, encoded: 16 targets of a kilobyte. An edge tells of a larger one that it was made, and
/// not what it was.
pub const DECISION_BYTES_MAX: usize = 16 * 1024;

/// Violations that one refusal tells: enough to mend a record in one go, little enough for a trailer of 8 KiB.
pub const VIOLATIONS_MAX: usize = 16;
