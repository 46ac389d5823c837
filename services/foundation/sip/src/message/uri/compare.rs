//! Whether two URIs mean the same (RFC 3261 19.1.4).

use super::{Scheme, Uri};

/// "A user, ttl, or method uri-parameter appearing in only one URI never matches", nor does maddr; and by the
/// examples of 19.1.4 `;transport=udp` differs from no transport.
const MUST_BE_IN_BOTH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri<'_> {
    /// Whether both are equivalent by RFC 3261 19.1.4. `tel` URIs compare by RFC 3966 4: visual separators do not
    /// count, parameters do in any order. Others are equal if they are written alike.
    #[must_use]
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => self.same_sip(other),
            (Scheme::Tel, Scheme::Tel) => self.same_tel(other),
            (Scheme::Other, Scheme::Other) => self.text == other.text,
            _ => false,
        }
    }

    fn same_sip(&self, other: &Uri<'_>) -> bool {
        same_optional(self.user, other.user)
            && same_optional(self.password, other.password)
            && same_host(self, other)
            && self.port == other.port
            && params_agree(self, other)
            && params_agree(other, self)
            && self.headers().count() == other.headers().count()
            && holds_headers(self, other)
            && holds_headers(other, self)
    }

    fn same_tel(&self, other: &Uri<'_>) -> bool {
        let number = |uri: &Uri<'_>| {
            let number = uri.user.unwrap_or_default().to_ascii_lowercase();
            number.replace(['-', '.', '(', ')'], "")
        };
        let holds = |uri: &Uri<'_>, other: &Uri<'_>| {
            uri.params().all(|(name, value)| match (value, other.param(name)) {
                (Some(value), Some(Some(found))) => same(value, found, true),
                (None, Some(None)) => true,
                _ => false,
            })
        };
        number(self) == number(other) && holds(self, other) && holds(other, self)
    }
}

fn same_host(uri: &Uri<'_>, other: &Uri<'_>) -> bool {
    uri.host.eq_ignore_ascii_case(other.host)
        || (uri.host.starts_with('[') && uri.address().is_some() && uri.address() == other.address())
}

fn same_optional(text: Option<&str>, other: Option<&str>) -> bool {
    match (text, other) {
        (Some(text), Some(other)) => same(text, other, false),
        (None, None) => true,
        _ => false,
    }
}

/// Whether no parameter of `uri` speaks against `other`.
fn params_agree(uri: &Uri<'_>, other: &Uri<'_>) -> bool {
    uri.params().all(|(name, value)| match other.param(name) {
        Some(found) => match (value, found) {
            (Some(value), Some(found)) => same(value, found, true),
            (None, None) => true,
            _ => false,
        },
        None => !MUST_BE_IN_BOTH.iter().any(|needed| name.eq_ignore_ascii_case(needed)),
    })
}

/// "URI header components are never ignored": each of `uri` is found in `other`, in any order.
fn holds_headers(uri: &Uri<'_>, other: &Uri<'_>) -> bool {
    uri.headers().all(|(name, value)| {
        other.headers().any(|(found, found_value)| {
            same(name, found, true) && same(value.unwrap_or_default(), found_value.unwrap_or_default(), false)
        })
    })
}

/// "Characters other than those in the 'reserved' set are equivalent to their '% HEX HEX' encoding."
fn same(text: &str, other: &str, any_case: bool) -> bool {
    let fold = |(byte, kept): (u8, bool)| (if any_case { byte.to_ascii_lowercase() } else { byte }, kept);
    unescaped(text).map(fold).eq(unescaped(other).map(fold))
}

/// Each byte, escapes undone, and whether it is a reserved character that came escaped.
pub(super) fn unescaped(text: &str) -> impl Iterator<Item = (u8, bool)> + '_ {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'%' => {
            let mut hex = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            let byte = (hex()? << 4 | hex()?) as u8;
            Some((byte, is_reserved(byte)))
        }
        byte => Some((byte, false)),
    })
}

/// RFC 3261 25.1, `reserved`.
const fn is_reserved(byte: u8) -> bool {
    matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}
