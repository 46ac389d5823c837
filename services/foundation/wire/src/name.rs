//! Resource names: `tenants/{tenant}` and what is under it.
//!
//! ```text
//! tenants/acme
//! tenants/acme/users/jane.doe
//! tenants/acme/users/J%C3%BCrgen%20M
//! tenants/acme/stations/…   tenants/acme/workgroups/…   tenants/acme/numbers/+4930123456;ext=12
//! tenants/acme/decisions/r1-7
//! ```
//!
//! An id stands in a name as a segment of RFC 3986 section 3.3: unreserved characters, sub-delimiters, `:` and `@` as
//! they are, every other byte of its UTF-8 as `%` and two hexadecimal digits, and so `%` itself. Ids that consist of
//! one or two dots are escaped too, for a path with them would be folded. Reading is more generous: any escape is
//! taken, and characters that should have been escaped are taken too, so that a name can be typed.

use std::fmt;

use tandem_domain::id::{StationId, TenantName, UserId, WorkgroupId};

use crate::bytes::Writer;
use crate::limits::NUMBER_BYTES_MAX;
use crate::violation::{Violation, line_fault};

/// The most characters of a decision's id: the process that made it, and the place in its ring.
pub const DECISION_ID_LEN_MAX: usize = 128;

/// A name that was read.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Name {
    /// The tenant.
    pub tenant: TenantName,
    /// What of the tenant; none: the tenant itself.
    pub child: Option<Child>,
}

/// What a tenant has.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Child {
    /// A user.
    User(UserId),
    /// A station.
    Station(StationId),
    /// A workgroup.
    Workgroup(WorkgroupId),
    /// A number assignment, by its number as the tenant's dial plan understands it.
    Number(String),
    /// A remembered decision.
    Decision(String),
}

impl Child {
    const fn collection(&self) -> &'static str {
        match self {
            Self::User(_) => "users",
            Self::Station(_) => "stations",
            Self::Workgroup(_) => "workgroups",
            Self::Number(_) => "numbers",
            Self::Decision(_) => "decisions",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Station(id) => id.as_str(),
            Self::Workgroup(id) => id.as_str(),
            Self::Number(id) | Self::Decision(id) => id,
        }
    }
}

impl Name {
    /// Reads a name. `field` is where it came from, for the violation.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let wrong = |problem: String| {
            Violation::new(field, problem, "write it as tenants/{tenant} or tenants/{tenant}/users/{user}")
        };
        let mut segments = text.split('/');
        let (Some("tenants"), Some(tenant)) = (segments.next(), segments.next()) else {
            return Err(wrong("is no resource name".into()));
        };
        let tenant = parse_tenant_id(field, tenant)?;
        let child = match (segments.next(), segments.next(), segments.next()) {
            (None, ..) => None,
            (Some(collection), Some(id), None) => Some(parse_child(field, collection, id)?),
            (Some(_), _, _) => return Err(wrong("is no resource name".into())),
        };
        Ok(Self { tenant, child })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.child {
            None => write!(f, "tenants/{}", self.tenant),
            Some(child) => f.write_str(&under(&self.tenant, child.collection(), child.id())),
        }
    }
}

/// Reads `tenants/{tenant}` and lends the tenant's name: what every request on a tenant begins with.
///
/// # Errors
/// When it is something else, or the name has a character that no tenant's name has.
pub fn parent<'a>(field: &str, text: &'a str) -> Result<&'a str, Violation> {
    match text.strip_prefix("tenants/") {
        Some(tenant) if is_label(tenant) => Ok(tenant),
        Some(tenant) if !tenant.contains('/') => Err(match TenantName::parse(tenant) {
            Err(error) => Violation::new(field, "names no tenant", error.to_string()),
            Ok(_) => Violation::new(field, "names no tenant", PARENT),
        }),
        _ => Err(Violation::new(field, "is no tenant's name", PARENT)),
    }
}

const PARENT: &str = "write it as tenants/{tenant}";

/// The rule of [`TenantName::parse`] without building one; a test holds the two together.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=TenantName::LEN_MAX).contains(&bytes.len())
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Reads the name of a user.
///
/// # Errors
/// What is wrong with it.
pub fn parse_user(field: &str, text: &str) -> Result<(TenantName, UserId), Violation> {
    match Name::parse(field, text)? {
        Name { tenant, child: Some(Child::User(id)) } => Ok((tenant, id)),
        _ => Err(Violation::new(field, "is no user's name", "write it as tenants/{tenant}/users/{user}")),
    }
}

fn parse_tenant_id(field: &str, text: &str) -> Result<TenantName, Violation> {
    TenantName::parse(text).map_err(|error| Violation::new(field, "names no tenant", error.to_string()))
}

fn parse_child(field: &str, collection: &str, segment: &str) -> Result<Child, Violation> {
    let id = unescape(segment).ok_or_else(|| {
        Violation::new(
            field,
            "has an escape that is no UTF-8",
            "write % and two hexadecimal digits for each byte; % itself as %25",
        )
    })?;
    let name = |error: tandem_domain::id::NameError| {
        Violation::new(field, "has an id that is none", error.to_string())
    };
    match collection {
        "users" => UserId::parse(&id).map(Child::User).map_err(name),
        "stations" => StationId::parse(&id).map(Child::Station).map_err(name),
        "workgroups" => WorkgroupId::parse(&id).map(Child::Workgroup).map_err(name),
        "numbers" => plain(field, id, NUMBER_BYTES_MAX).map(Child::Number),
        "decisions" => plain(field, id, DECISION_ID_LEN_MAX).map(Child::Decision),
        _ => Err(Violation::new(
            field,
            "names no collection of a tenant",
            "one of users, stations, workgroups, numbers, decisions",
        )),
    }
}

fn plain(field: &str, id: String, max: usize) -> Result<String, Violation> {
    if id.is_empty() {
        return Err(Violation::new(field, "has an empty id", "write the id after the last /"));
    }
    match line_fault(&id, max) {
        None => Ok(id),
        Some((problem, fix)) => Err(Violation::new(field, problem, fix)),
    }
}

/// `tenants/{tenant}`.
#[must_use]
pub fn tenant(tenant: &TenantName) -> String {
    ["tenants/", tenant.as_str()].concat()
}

/// `tenants/{tenant}/users/{user}`.
#[must_use]
pub fn user(tenant: &TenantName, id: &UserId) -> String {
    under(tenant, "users", id.as_str())
}

/// `tenants/{tenant}/stations/{station}`.
#[must_use]
pub fn station(tenant: &TenantName, id: &StationId) -> String {
    under(tenant, "stations", id.as_str())
}

/// `tenants/{tenant}/workgroups/{workgroup}`.
#[must_use]
pub fn workgroup(tenant: &TenantName, id: &WorkgroupId) -> String {
    under(tenant, "workgroups", id.as_str())
}

/// Whether a name is one of something of this tenant.
#[must_use]
pub fn is_under(name: &str, tenant: &TenantName) -> bool {
    let rest = name.strip_prefix("tenants/").and_then(|rest| rest.strip_prefix(tenant.as_str()));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Appends `tenants/{tenant}/decisions/{decision}` to a message that is being written.
pub(crate) fn write_decision(out: &mut Writer<'_>, tenant: &TenantName, id: &str) {
    write_under(tenant, "decisions", id, |part| out.raw(part.as_bytes()));
}

fn under(tenant: &TenantName, collection: &str, id: &str) -> String {
    let mut name = String::with_capacity(10 + tenant.as_str().len() + collection.len() + id.len());
    write_under(tenant, collection, id, |part| name.push_str(part));
    name
}

fn write_under(tenant: &TenantName, collection: &str, id: &str, mut out: impl FnMut(&str)) {
    for part in ["tenants/", tenant.as_str(), "/", collection, "/"] {
        out(part);
    }
    escape(id, out);
}

/// RFC 3986 section 3.3: `pchar = unreserved / pct-encoded / sub-delims / ":" / "@"`, of each byte.
const PCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@')
            || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

const fn is_pchar(byte: u8) -> bool {
    PCHAR[byte as usize]
}

fn escape(id: &str, mut out: impl FnMut(&str)) {
    let dots = matches!(id, "." | "..");
    if !dots && id.bytes().fold(true, |all, byte| all & is_pchar(byte)) {
        return out(id);
    }
    for byte in id.bytes() {
        if is_pchar(byte) && !dots {
            out(char::from(byte).encode_utf8(&mut [0; 4]));
        } else {
            out(&format!("%{byte:02X}"));
        }
    }
}

fn unescape(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_survives_its_own_print() {
        for text in [
            "tenants/acme",
            "tenants/acme/users/jane.doe",
            "tenants/acme/users/J%C3%BCrgen%20M",
            "tenants/acme/users/100%25",
            "tenants/acme/users/%2E%2E",
            "tenants/acme/stations/ws-1",
            "tenants/acme/workgroups/Sales",
            "tenants/acme/numbers/+4930123456;ext=12",
            "tenants/acme/decisions/r1-7",
        ] {
            assert_eq!(Name::parse("name", text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_typed_without_escapes_is_taken() {
        let typed = Name::parse("name", "tenants/acme/users/Jürgen M").unwrap();
        assert_eq!(typed.to_string(), "tenants/acme/users/J%C3%BCrgen%20M");
        assert_eq!(Name::parse("name", "tenants/acme/users/j%c3%bcrgen%20%4d").unwrap().to_string(), {
            "tenants/acme/users/j%C3%BCrgen%20M"
        });
    }

    #[test]
    fn what_is_no_name_says_so_with_its_field() {
        for bad in [
            "",
            "acme",
            "tenants",
            "tenants/",
            "tenants/Acme",
            "tenants/_cell",
            "tenants/acme/",
            "tenants/acme/users",
            "tenants/acme/users/",
            "tenants/acme/users/a/b",
            "tenants/acme/users/a%2Fb",
            "tenants/acme/users/a%",
            "tenants/acme/users/a%ZZ",
            "tenants/acme/users/%FF",
            "tenants/acme/users/a%0D%0Ab",
            "tenants/acme/colours/a",
            "tenants/acme/numbers/",
        ] {
            let violation = Name::parse("name", bad).expect_err(bad);
            assert_eq!(violation.field, "name");
            assert!(!violation.fix.is_empty());
        }
        assert!(parse_user("name", "tenants/acme").is_err());
        assert!(parse_user("name", "tenants/acme/stations/a").is_err());
    }

    #[test]
    fn a_parent_is_a_tenant_and_nothing_else() {
        assert_eq!(parent("parent", "tenants/acme"), Ok("acme"));
        for bad in
            ["", "tenants/", "tenants/-a", "tenants/Acme", "tenants/acme/users/x", "tenants/_cell", "acme"]
        {
            assert_eq!(parent("parent", bad).expect_err(bad).field, "parent");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_to_a_tenant_takes_what_the_long_way_takes(text in "[a-c0-1A_é-]{0,66}|[a-z-]{60,66}") {
            prop_assert_eq!(is_label(&text), TenantName::parse(&text).is_ok());
            prop_assert_eq!(parent("parent", &format!("tenants/{text}")).is_ok(), is_label(&text));
        }

        #[test]
        fn any_user_id_survives_its_name(id in crate::testing::printable(128)) {
            let tenant = TenantName::parse("acme").unwrap();
            let id = UserId::parse(&id).unwrap();
            let name = user(&tenant, &id);
            prop_assert!(name.is_ascii());
            prop_assert_eq!(parse_user("name", &name).unwrap(), (tenant, id));
        }

        #[test]
        fn no_text_is_too_strange_to_be_read_as_a_name(text in any::<String>(), tail in any::<String>()) {
            let _ = Name::parse("name", &text);
            let _ = Name::parse("name", &format!("tenants/acme/users/{tail}"));
            let _ = parent("parent", &text);
        }
    }
}
