//! How a directory writes numbers.

use crate::number::parse::{Dialled, parse};
use crate::number::{self, Number, Origin};
use crate::tenant::Config;

/// A number as the tenant's own dial rules understand it, whoever dials it.
pub(super) fn canonical(config: &Config, written: &str) -> Option<Number> {
    number::canonical(config, Origin::default(), &parse(written).ok()?).ok()
}

/// The number of a Line URI: `tel:` and a global number, an extension perhaps (domain rules 1.3).
pub(super) fn line_number(uri: &str) -> Option<Number> {
    let tel = uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"));
    tel.then(|| address_number(uri)).flatten()
}

/// The global number that a `tel:` or `sip:` URI stands for.
pub(super) fn address_number(uri: &str) -> Option<Number> {
    match parse(uri) {
        Ok(Dialled::Global(number)) => Some(number),
        _ => None,
    }
}

/// Whether two addresses are one: the same number, or else the same text without regard to case.
pub(super) fn same_address(a: &str, b: &str) -> bool {
    match (address_number(a), address_number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

/// Whether this is `sip:user@host` or `sips:user@host`.
pub(super) fn is_sip_address(uri: &str) -> bool {
    let rest =
        uri.split_once(':').filter(|(s, _)| s.eq_ignore_ascii_case("sip") || s.eq_ignore_ascii_case("sips"));
    let parts = rest.and_then(|(_, rest)| rest.split_once('@'));
    parts.is_some_and(|(user, host)| {
        let host = host.split([':', ';', '?']).next().unwrap_or_default();
        let printable =
            |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic() && !b"<>\",".contains(&b));
        printable(user) && printable(host)
    })
}
