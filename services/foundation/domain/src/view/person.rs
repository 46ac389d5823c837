//! A user as calls ask for them: what every decision needs of the record, read once.

use std::ops::Deref;
use std::sync::Arc;

use super::keyed::Numbered;
use super::numbers::Role;
use crate::directory::{Endpoint, endpoint};
use crate::document::directory::User;
use crate::id::UserId;
use crate::number::Number;
use crate::tenant::Config;

/// A user in a tenant's policy. Dereferences to the record.
///
/// What every call reads stands first.
#[derive(Clone, PartialEq, Debug)]
#[repr(C)]
pub struct Person {
    /// The name in the tenant's directory.
    pub id: UserId,
    record: Arc<User>,
    endpoint: Endpoint,
    has_cic: bool,
    line: Option<Number>,
    extension: Option<Number>,
    extension_elsewhere: Option<Number>,
}

impl Person {
    /// Without policy nobody has numbers, for it says how to read them.
    pub(super) fn new(record: &Arc<User>, config: Option<&Config>) -> Self {
        let (mut line, mut extension, mut extension_elsewhere) = (None, None, None);
        let mut take = |number, role| match role {
            Role::LineUri => line = Some(number),
            // The user's own site comes last.
            _ => extension_elsewhere = extension.replace(number),
        };
        config.into_iter().for_each(|config| record.numbers(config, &mut take));
        Self {
            id: record.id.clone(),
            line,
            extension,
            extension_elsewhere,
            endpoint: endpoint(record),
            has_cic: record.cic.is_some(),
            record: Arc::clone(record),
        }
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &Arc<User> {
        &self.record
    }

    /// The number of the Line URI, as the user's own site understands it.
    #[must_use]
    pub fn line(&self) -> Option<Number> {
        self.line
    }

    /// The extension in CIC, as the user's own site understands it.
    #[must_use]
    pub fn extension(&self) -> Option<Number> {
        self.extension
    }

    /// Each number of the extension: as the user's own site dials it, and as anybody else does.
    pub(super) fn extensions(&self) -> impl Iterator<Item = Number> {
        self.extension.into_iter().chain(self.extension_elsewhere)
    }

    /// What the configuration amounts to.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Whether there is a CIC account.
    #[must_use]
    pub fn has_cic(&self) -> bool {
        self.has_cic
    }
}

impl Deref for Person {
    type Target = User;

    fn deref(&self) -> &User {
        &self.record
    }
}
