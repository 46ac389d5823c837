//! Names and positions. Each kind has its own type, so that a user can not be passed for a station.
//!
//! A name is checked once, where it enters ([`TenantName::parse`] and the like); inside it cannot be wrong.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Why a name was refused: what it is the name of, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or more than the limit.
    #[error("a {what} name has 1 to {max} characters, this has {found}")]
    Length {
        /// What it is the name of.
        what: &'static str,
        /// The limit, in characters.
        max: usize,
        /// The characters found.
        found: usize,
    },
    /// A character that the kind does not allow.
    #[error("a {what} name has {allowed}; {found:?} is not allowed")]
    Character {
        /// What it is the name of.
        what: &'static str,
        /// What is allowed, in words.
        allowed: &'static str,
        /// The first character that is not.
        found: char,
    },
}

/// Lower-case letters, digits and `-`, as in a Kubernetes object's name: these names stand in both.
fn label(what: &'static str, max: usize, s: &str) -> Result<(), NameError> {
    let found = s.chars().count();
    if found == 0 || found > max {
        return Err(NameError::Length { what, max, found });
    }
    let edge = s.starts_with('-') || s.ends_with('-');
    match s.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        Some(found) => Err(NameError::Character { what, allowed: LABEL, found }),
        None if edge => Err(NameError::Character { what, allowed: LABEL, found: '-' }),
        None => Ok(()),
    }
}

const LABEL: &str = "lower-case letters, digits and '-' between them";
const PRINTABLE: &str = "printable characters without '/', quotes and control characters";

/// What people name in the vendors' tools (users, stations): CIC and Lync allow dots, spaces and more.
fn printable(what: &'static str, max: usize, s: &str) -> Result<(), NameError> {
    let found = s.chars().count();
    if found == 0 || found > max {
        return Err(NameError::Length { what, max, found });
    }
    match s.chars().find(|c| c.is_control() || matches!(c, '/' | '"' | '\\')) {
        Some(found) => Err(NameError::Character { what, allowed: PRINTABLE, found }),
        None => Ok(()),
    }
}

// Inline up to 23 bytes, as most names are: a decision reads a dozen of them, of tenants that no cache holds.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(SmolStr);

        impl $name {
            /// The most characters such a name may have.
            pub const LEN_MAX: usize = $max;

            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long, or has a character that is not allowed.
            pub fn parse(s: &str) -> Result<Self, NameError> {
                $check($what, $max, s)?;
                Ok(Self(s.into()))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(s: String) -> Result<Self, NameError> {
                Self::parse(&s)
            }
        }

        impl From<$name> for String {
            fn from(n: $name) -> Self {
                n.0.into()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::parse(s)
            }
        }
    )*};
}

names! {
    /// A tenant's name, unique in its cell at any time. Alone it does not say *which* tenant: see [`TenantId`].
    TenantName, "tenant", 63, label;
    /// A place: `cloud`, or one of the customer's premises.
    SiteName, "site", 63, label;
    /// A SIP peer group of a tenant.
    TrunkName, "trunk", 63, label;
    /// A listener of an edge, as its configuration names it.
    ListenerName, "listener", 63, label;
    /// A user of a tenant's directory.
    UserId, "user", 128, printable;
    /// A station of a tenant's directory.
    StationId, "station", 128, printable;
    /// A workgroup (queue) of a tenant's directory.
    WorkgroupId, "workgroup", 128, printable;
}

impl SiteName {
    /// The provider's data centre. Every tenant has it; every other site is a customer's premises.
    pub const CLOUD: &'static str = "cloud";

    /// Whether this is the provider's data centre.
    #[must_use]
    pub fn is_cloud(&self) -> bool {
        self.as_str() == Self::CLOUD
    }
}

impl TenantName {
    /// `_cell`: the reserved tenant. [`TenantName::parse`] refuses it, so that no document can name it.
    #[must_use]
    pub fn reserved_cell() -> Self {
        Self("_cell".into())
    }
}

/// Which of the tenants that have borne a name over time: deleted and made again is another tenant.
///
/// Given at birth from chance (or Kubernetes' object uid), never reused. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

impl Incarnation {
    /// Reads 32 hexadecimal digits; the hyphens of a uuid are skipped.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        let hex: String = s.chars().filter(|c| *c != '-').collect();
        (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tenant, for good: its name and its incarnation. Part of every key, token and resume token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TenantId {
    /// What people call it.
    pub name: TenantName,
    /// Which of those that bore the name.
    pub incarnation: Incarnation,
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// A position in a shard's log: microseconds since 1970 or more, always growing, below 2^53.
///
/// Zero is before everything. Revisions of different tenants are not comparable, for they may lie in
/// different shards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_lower_case_digits_and_inner_hyphens() {
        for (given, ok) in [
            ("acme", true),
            ("a-1", true),
            ("", false),
            ("Acme", false),
            ("-a", false),
            ("a-", false),
            ("a_b", false),
        ] {
            assert_eq!(TenantName::parse(given).is_ok(), ok, "{given:?}");
        }
        assert!(TenantName::parse(&"a".repeat(63)).is_ok());
        assert!(TenantName::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn a_users_name_may_have_dots_and_spaces_but_no_controls() {
        for (given, ok) in
            [("jane.doe", true), ("Jane Doe", true), ("a/b", false), ("a\nb", false), ("a\"b", false)]
        {
            assert_eq!(UserId::parse(given).is_ok(), ok, "{given:?}");
        }
    }

    #[test]
    fn an_incarnation_survives_its_own_print_and_reads_a_uuid() {
        let i = Incarnation(0x1234);
        assert_eq!(Incarnation::parse(&i.to_string()), Some(i));
        assert!(Incarnation::parse("00000000-0000-0000-0000-000000001234").is_some_and(|p| p == i));
        assert_eq!(Incarnation::parse("12"), None);
    }
}
