//! Page and resume tokens: where a list or a watch goes on, in a form that only we can write.
//!
//! A token is the position (whatever the list sorts by) and a signature over position, tenant, incarnation, caller,
//! method, filter and order. A token that was changed, made elsewhere, or is used for another list than it was given
//! for is refused, all with the same text. It is not encrypted: a position is an id of the caller's own tenant.
//!
//! ```text
//! base64url( 1 ‖ position ‖ first 16 bytes of HMAC-SHA-256(key, 1 ‖ fields, each with its length before it) )
//! ```
//!
//! Replicas that answer each other's pages have the same key. It can be changed without breaking lists that are
//! being read: a [`Signer`] takes a second key that it only accepts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tandem_domain::id::TenantId;

use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_TOKEN_BYTES_MAX};
use crate::status::{Reason, Refusal};
use crate::violation::Violation;

const VERSION: u8 = 1;

/// Half of SHA-256's: RFC 2104 section 5 advises no less, and a guess still costs 2^128.
const TAG_BYTES: usize = 16;

/// A secret of 32 bytes. Shows itself in no format.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of bytes from chance, or from a secret.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that all processes of a cell have without being given one: from the cell's id, 128 bits from chance
    /// that live as long as the store and that no caller is told.
    #[must_use]
    pub fn of_cell(id: u128) -> Self {
        let mut mac = keyed(&id.to_be_bytes());
        mac.update(b"tandem tokens 1");
        Self(mac.finalize().into_bytes().into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(tandem_runtime::telemetry::REDACTED)
    }
}

/// The list or watch that a token belongs to.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// Who reads it: the caller's subject.
    pub caller: &'a str,
    /// The full method path.
    pub method: &'static str,
    /// Every field of the request that chooses or orders, as `name=value`, in a fixed order.
    pub filter: &'a [&'a str],
}

/// Signs and reads page tokens.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    previous: Option<Key>,
}

impl Signer {
    /// A signer with `key`, that also accepts what `previous` signed.
    #[must_use]
    pub const fn new(key: Key, previous: Option<Key>) -> Self {
        Self { key, previous }
    }

    /// The token of the page that begins after `position`.
    #[must_use]
    pub fn sign(&self, list: List<'_>, position: &[u8]) -> String {
        let tag = mac(&self.key, list, position).finalize().into_bytes();
        let mut bytes = Vec::with_capacity(1 + position.len() + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(position);
        bytes.extend_from_slice(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a list goes on; none for the first page.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID` for everything that [`sign`](Self::sign) did not make for this very list.
    pub fn read(&self, list: List<'_>, token: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let words = "page_token: does not belong to this list; begin without one, and change nothing else between pages";
        self.read_as(list, token, Reason::PageTokenInvalid, words)
    }

    /// Where a watch goes on; none: it begins with a snapshot. The `list` is what is watched.
    ///
    /// # Errors
    /// `RESUME_TOKEN_INVALID` for everything that [`sign`](Self::sign) did not make for this very watch.
    pub fn resume(&self, list: List<'_>, token: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let words = "resume_token: does not belong to this watch; begin without one";
        self.read_as(list, token, Reason::ResumeTokenInvalid, words)
    }

    fn read_as(
        &self,
        list: List<'_>,
        token: &str,
        reason: Reason,
        words: &'static str,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if token.is_empty() {
            return Ok(None);
        }
        self.verify(list, token).map(Some).ok_or_else(|| Refusal::new(reason, words))
    }

    fn verify(&self, list: List<'_>, token: &str) -> Option<Vec<u8>> {
        if token.len() > PAGE_TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let (version, position) = body.split_first()?;
        let signed = |key| mac(key, list, position).verify_truncated_left(tag).is_ok();
        let ours = signed(&self.key) || self.previous.as_ref().is_some_and(signed);
        (*version == VERSION && ours).then(|| position.to_vec())
    }
}

/// A key shorter than a block is padded with zeros (RFC 2104 section 2); padded here, its length needs no check.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::<Sha256>::new(&block.into())
}

fn mac(key: &Key, list: List<'_>, position: &[u8]) -> Hmac<Sha256> {
    let mut mac = keyed(&key.0);
    mac.update(&[VERSION]);
    let mut field = |bytes: &[u8]| {
        // Lengths first, or the end of one field could pass for the beginning of the next.
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    field(list.tenant.name.as_str().as_bytes());
    field(&list.tenant.incarnation.0.to_be_bytes());
    field(list.caller.as_bytes());
    field(list.method.as_bytes());
    field(&(list.filter.len() as u64).to_be_bytes());
    for part in list.filter {
        field(part.as_bytes());
    }
    field(position);
    mac
}

/// How many entries a page has: what was asked, or the default.
///
/// # Errors
/// When it is over [`PAGE_SIZE_MAX`].
pub fn size(asked: u32) -> Result<usize, Violation> {
    match asked {
        0 => Ok(PAGE_SIZE_DEFAULT as usize),
        1..=PAGE_SIZE_MAX => Ok(asked as usize),
        _ => Err(Violation::new(
            "page_size",
            format!("{asked} is too large"),
            format!("1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_domain::id::{Incarnation, TenantName};

    fn acme(incarnation: u128) -> TenantId {
        TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(incarnation) }
    }

    fn signer(byte: u8) -> Signer {
        Signer::new(Key::new([byte; 32]), None)
    }

    fn list(tenant: &TenantId) -> List<'_> {
        List { tenant, caller: "jane", method: "/x.v1.X/List", filter: &["a=1", "b=2"] }
    }

    #[test]
    fn a_token_goes_on_where_it_was_given_and_nowhere_else() {
        let tenant = acme(1);
        let ours = list(&tenant);
        let token = signer(1).sign(ours, b"jane.doe");
        assert_eq!(signer(1).read(ours, &token).unwrap(), Some(b"jane.doe".to_vec()));
        assert_eq!(signer(1).read(ours, "").unwrap(), None);
        let reborn = acme(2);
        let others = [
            List { tenant: &reborn, ..ours },
            List { caller: "joe", ..ours },
            List { method: "/x.v1.X/Other", ..ours },
            List { filter: &["a=1"], ..ours },
            List { filter: &["a=1b", "=2"], ..ours },
        ];
        for other in others {
            let refusal = signer(1).read(other, &token).unwrap_err();
            assert_eq!(refusal.reason(), Reason::PageTokenInvalid, "{other:?}");
        }
        assert!(signer(2).read(ours, &token).is_err());
    }

    #[test]
    fn a_key_can_be_changed_under_a_list_that_is_being_read() {
        let tenant = acme(1);
        let token = signer(1).sign(list(&tenant), b"p");
        let next = Signer::new(Key::new([2; 32]), Some(Key::new([1; 32])));
        assert!(next.read(list(&tenant), &token).is_ok());
        assert!(signer(1).read(list(&tenant), &next.sign(list(&tenant), b"p")).is_err());
    }

    #[test]
    fn a_key_shows_itself_nowhere() {
        assert!(!format!("{:?}", signer(7)).contains('7'));
    }

    #[test]
    fn a_page_has_a_size_within_its_limit() {
        for (asked, given) in [(0, Some(50)), (1, Some(1)), (1_000, Some(1_000)), (1_001, None)] {
            assert_eq!(size(asked).ok(), given);
        }
    }

    proptest! {
        #[test]
        fn one_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let tenant = acme(1);
            let token = signer(1).sign(list(&tenant), b"jane.doe");
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(signer(1).read(list(&tenant), &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn no_text_is_too_strange_to_be_read_as_a_token(text in any::<String>()) {
            let tenant = acme(1);
            prop_assert_eq!(signer(1).read(list(&tenant), &text).is_ok(), text.is_empty());
        }
    }
}
