//! Hashes of names, for indexes: deterministic, so that equal views are built alike everywhere.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

/// Whose name it is; part of the hash, so that one index serves all.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Of {
    Tenant,
    User,
    SipAddress,
    CicUser,
    StationOfUser,
    Station,
    Workgroup,
    ClaimKey,
    Source,
    Certificate,
    Domain,
    /// A number assignment, by the user it names.
    Did,
}

/// The hash of a name, its ASCII letters in lower case. Names that differ may share it: compare them.
pub(crate) fn hash(of: Of, parts: &[&str]) -> u64 {
    let mut hasher = FixedState::with_seed(of as u64).build_hasher();
    let mut lower = [0_u8; 32];
    for part in parts {
        for chunk in part.as_bytes().chunks(lower.len()) {
            let out = &mut lower[..chunk.len()];
            out.copy_from_slice(chunk);
            out.make_ascii_lowercase();
            hasher.write(out);
        }
        hasher.write_usize(part.len());
    }
    hasher.finish()
}

/// A SIP address without its scheme.
pub(crate) fn bare(address: &str) -> &str {
    let scheme = |s: &str| {
        let (head, rest) = address.split_at_checked(s.len())?;
        head.eq_ignore_ascii_case(s).then_some(rest)
    };
    scheme("sip:").or_else(|| scheme("sips:")).unwrap_or(address)
}
