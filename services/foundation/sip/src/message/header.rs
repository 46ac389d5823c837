//! The header fields that an element of ours reads, found by length and letters.

macro_rules! headers {
    ($($(#[$doc:meta])* $name:ident = $long:literal $(, $compact:literal)?;)+) => {
        /// A header field by name. What is not listed is [`Header::Other`] and is forwarded as it came.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Header {
            $($(#[$doc])* $name,)+
            /// A field that nothing here reads.
            Other,
        }

        impl Header {
            /// As it is written; empty for [`Header::Other`].
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $long,)+ Self::Other => "" }
            }

            const ALL: &[Header] = &[$(Self::$name,)+];

            /// RFC 3261 7.3.3: each element must know the compact forms.
            const fn of_letter(letter: u8) -> Self {
                match letter.to_ascii_lowercase() {
                    $($($compact => Self::$name,)?)+
                    _ => Self::Other,
                }
            }
        }
    };
}

impl Header {
    /// Whose name this is; case does not matter, and compact forms count (RFC 3261 7.3.3).
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            [] => Self::Other,
            [letter] => Self::of_letter(*letter),
            [first, .., last] => {
                let found = SLOTS[slot(name.len(), *first, *last, MULTIPLIER)].header;
                if found.name().as_bytes().eq_ignore_ascii_case(name) { found } else { Self::Other }
            }
        }
    }

    /// Whose name the first `len` bytes of a line are.
    #[inline]
    pub(super) fn of_line(line: &[u8], len: usize) -> Self {
        // Most are spelled as the RFC does, and short enough to be compared in one go.
        if let (2..=WORD_BYTES, Some(word)) = (len, line.first_chunk::<WORD_BYTES>()) {
            let slot = &SLOTS[slot(len, word[0], word[len - 1], MULTIPLIER)];
            if slot.word == u128::from_le_bytes(*word) & MASKS[len] {
                return slot.header;
            }
        }
        Self::of(line.get(..len).unwrap_or_default())
    }
}

impl Header {
    /// How many there are, [`Header::Other`] included.
    pub(super) const COUNT: usize = Self::Other as usize + 1;

    /// Its bit among those of all headers.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        const { assert!(Self::COUNT <= 64, "a header has no bit") };
        1 << self as u8
    }
}

/// As many bytes of a name as are compared in one go.
const WORD_BYTES: usize = 16;

/// What keeps the first bytes of a word, by how many.
static MASKS: [u128; WORD_BYTES + 1] = {
    let mut masks = [0; WORD_BYTES + 1];
    let mut len = 1;
    while len <= WORD_BYTES {
        masks[len] = u128::MAX >> (8 * (WORD_BYTES - len));
        len += 1;
    }
    masks
};

impl Header {
    /// Whether a line of it may hold several values parted by commas (RFC 3261 7.3.1); each line of another is one
    /// value, whatever commas are in it.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Via
                | Self::Route
                | Self::RecordRoute
                | Self::Contact
                | Self::Path
                | Self::ServiceRoute
                | Self::ContentEncoding
                | Self::ProxyRequire
                | Self::Require
                | Self::Supported
                | Self::Unsupported
                | Self::AssertedIdentity
                | Self::PreferredIdentity
                | Self::Diversion
                | Self::HistoryInfo
                | Self::CallInfo
                | Self::AlertInfo
                | Self::Accept
                | Self::Allow
                | Self::AllowEvents
                | Self::Warning
                | Self::Reason
        )
    }
}

/// More than four times the names, so that a multiplier without a clash is soon found.
const SLOT_COUNT: usize = 256;

/// A name's place among [`SLOTS`]: its length and outer letters differ from every other name's.
const fn slot(len: usize, first: u8, last: u8, multiplier: u32) -> usize {
    let key = (len as u32 & 0xff) << 16 | ((first | 0x20) as u32) << 8 | (last | 0x20) as u32;
    (key.wrapping_mul(multiplier) >> 24) as usize
}

/// A header field and how it is spelled.
#[derive(Clone, Copy)]
struct Slot {
    header: Header,
    /// As a number, zeros behind it; of one that is longer, nothing that a name could be equal to.
    word: u128,
}

impl Slot {
    const fn of(header: Header) -> Self {
        let spelled = header.name();
        let (mut word, mut at) = (0, 0);
        while spelled.len() <= WORD_BYTES && at < spelled.len() {
            word |= (spelled.as_bytes()[at] as u128) << (8 * at);
            at += 1;
        }
        Self { header, word }
    }
}

const fn place(multiplier: u32) -> Option<[Header; SLOT_COUNT]> {
    let mut slots = [Header::Other; SLOT_COUNT];
    let mut at = 0;
    while at < Header::ALL.len() {
        let header = Header::ALL[at];
        let name = header.name().as_bytes();
        let slot = slot(name.len(), name[0], name[name.len() - 1], multiplier);
        if !matches!(slots[slot], Header::Other) {
            return None;
        }
        slots[slot] = header;
        at += 1;
    }
    Some(slots)
}

/// Found once, when the crate is compiled: the first odd multiplier under which no two names share a slot.
const MULTIPLIER: u32 = {
    let mut multiplier = 0x9e37_79b1_u32;
    while place(multiplier).is_none() {
        multiplier = multiplier.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35e) | 1;
    }
    multiplier
};

static SLOTS: [Slot; SLOT_COUNT] = {
    let headers = match place(MULTIPLIER) {
        Some(headers) => headers,
        None => [Header::Other; SLOT_COUNT],
    };
    let mut slots = [Slot::of(Header::Other); SLOT_COUNT];
    let mut at = 0;
    while at < SLOT_COUNT {
        slots[at] = Slot::of(headers[at]);
        at += 1;
    }
    slots
};

headers! {
    /// RFC 3261 20.42.
    Via = "Via", b'v';
    /// RFC 3261 20.20.
    From = "From", b'f';
    /// RFC 3261 20.39.
    To = "To", b't';
    /// RFC 3261 20.8.
    CallId = "Call-ID", b'i';
    /// RFC 3261 20.16.
    CSeq = "CSeq";
    /// RFC 3261 20.22.
    MaxForwards = "Max-Forwards";
    /// RFC 3261 20.34.
    Route = "Route";
    /// RFC 3261 20.30.
    RecordRoute = "Record-Route";
    /// RFC 3261 20.10.
    Contact = "Contact", b'm';
    /// RFC 3261 20.14.
    ContentLength = "Content-Length", b'l';
    /// RFC 3261 20.15.
    ContentType = "Content-Type", b'c';
    /// RFC 3261 20.12.
    ContentEncoding = "Content-Encoding", b'e';
    /// RFC 3261 20.29.
    ProxyRequire = "Proxy-Require";
    /// RFC 3261 20.32.
    Require = "Require";
    /// RFC 3261 20.37.
    Supported = "Supported", b'k';
    /// RFC 3261 20.40.
    Unsupported = "Unsupported";
    /// RFC 3261 20.33.
    RetryAfter = "Retry-After";
    /// RFC 3261 20.44.
    WwwAuthenticate = "WWW-Authenticate";
    /// RFC 3261 20.27.
    ProxyAuthenticate = "Proxy-Authenticate";
    /// RFC 3261 20.28.
    ProxyAuthorization = "Proxy-Authorization";
    /// RFC 3261 20.17.
    Date = "Date";
    /// RFC 3261 20.19.
    Expires = "Expires";
    /// RFC 3325 9.1.
    AssertedIdentity = "P-Asserted-Identity";
    /// RFC 3325 9.2.
    PreferredIdentity = "P-Preferred-Identity";
    /// RFC 3323 4.2.
    Privacy = "Privacy";
    /// RFC 5806.
    Diversion = "Diversion";
    /// RFC 7044.
    HistoryInfo = "History-Info";
    /// RFC 3892.
    ReferredBy = "Referred-By", b'b';
    /// RFC 3515.
    ReferTo = "Refer-To", b'r';
    /// RFC 3891.
    Replaces = "Replaces";
    /// RFC 3261 20.9.
    CallInfo = "Call-Info";
    /// RFC 3261 20.4.
    AlertInfo = "Alert-Info";
    /// RFC 5373.
    AnswerMode = "Answer-Mode";
    /// RFC 5373.
    PrivAnswerMode = "Priv-Answer-Mode";
    /// RFC 6665.
    Event = "Event", b'o';
    /// RFC 3261 20.1.
    Accept = "Accept";
    /// RFC 3261 20.5.
    Allow = "Allow";
    /// RFC 3261 20.41.
    UserAgent = "User-Agent";
    /// RFC 3261 20.35.
    Server = "Server";
    /// RFC 3261 20.36.
    Subject = "Subject", b's';
    /// RFC 3262 7.2.
    RAck = "RAck";
    /// RFC 3262 7.1.
    RSeq = "RSeq";
    /// RFC 3261 20.7.
    Authorization = "Authorization";
    /// RFC 3261 20.6.
    AuthenticationInfo = "Authentication-Info";
    /// RFC 3261 20.11.
    ContentDisposition = "Content-Disposition";
    /// RFC 3261 20.23.
    MinExpires = "Min-Expires";
    /// RFC 3261 20.38.
    Timestamp = "Timestamp";
    /// RFC 3261 20.43.
    Warning = "Warning";
    /// RFC 3327.
    Path = "Path";
    /// RFC 3608.
    ServiceRoute = "Service-Route";
    /// RFC 4028 4.
    SessionExpires = "Session-Expires", b'x';
    /// RFC 4028 5.
    MinSe = "Min-SE";
    /// RFC 6665 8.2.2.
    AllowEvents = "Allow-Events", b'u';
    /// RFC 6665 8.2.3.
    SubscriptionState = "Subscription-State";
    /// RFC 3903 11.3.1.
    SipEtag = "SIP-ETag";
    /// RFC 3903 11.3.2.
    SipIfMatch = "SIP-If-Match";
    /// RFC 3326.
    Reason = "Reason";
    /// RFC 8224 4.
    Identity = "Identity", b'y';
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for &header in Header::ALL {
            assert_eq!(Header::of(header.name().as_bytes()), header);
            assert_eq!(Header::of(header.name().to_ascii_lowercase().as_bytes()), header);
            assert_eq!(Header::of(header.name().to_ascii_uppercase().as_bytes()), header);
        }
    }

    #[test]
    fn a_line_has_the_header_of_its_name() {
        for line in [
            "Via: a",
            "Via: SIP/2.0/UDP host",
            "v: SIP/2.0/UDP the.host",
            "VIA: SIP/2.0/UDP host",
            "Fia: SIP/2.0/UDP host",
        ] {
            let len = line.find(':').unwrap();
            assert_eq!(Header::of_line(line.as_bytes(), len), Header::of(&line.as_bytes()[..len]), "{line}");
        }
        for &header in Header::ALL {
            let line = format!("{}:0123456789", header.name());
            assert_eq!(Header::of_line(line.as_bytes(), header.name().len()), header);
            assert_eq!(Header::of_line(line.as_bytes(), header.name().len() + 1), Header::Other);
        }
        assert_eq!(Header::of_line(b"", 0), Header::Other);
        assert_eq!(Header::of_line(b":0123456789abcdef", 0), Header::Other);
    }

    /// RFC 3261 7.3.3: "Implementations MUST accept both the long and short forms of each header name."
    #[test]
    fn compact_forms_are_the_same_fields() {
        let check = |letter: &[u8], header| assert_eq!(Header::of(letter), header);
        check(b"i", Header::CallId);
        check(b"m", Header::Contact);
        check(b"e", Header::ContentEncoding);
        check(b"l", Header::ContentLength);
        check(b"C", Header::ContentType);
        check(b"f", Header::From);
        check(b"s", Header::Subject);
        check(b"k", Header::Supported);
        check(b"T", Header::To);
        check(b"v", Header::Via);
        check(b"z", Header::Other);
    }

    #[test]
    fn what_is_like_a_name_is_another() {
        for name in ["Vja", "C%6Fntact", "Call_ID", "Fr\u{f6}m", "", "z", "Content-Lengths"] {
            assert_eq!(Header::of(name.as_bytes()), Header::Other, "{name}");
        }
    }
}
