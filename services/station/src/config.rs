//! What an operator may set.

/// The settings of station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Signs page and resume tokens: the same on every replica, so that the next page, or what follows in a watch, may
    /// be asked of another. None: from the cell's id, which they share.
    pub page_key: Option<[u8; 32]>,
    /// Imports of different tenants at once. Of one tenant one is read at a time.
    pub imports_max: usize,
    /// The bytes of messages that all imports together keep in memory while they are read.
    pub imports_bytes_max: usize,
    /// Watches at once. Each keeps what its reader has not taken, at most one entry a user.
    pub watchers_max: usize,
    /// Watches of one tenant at once, so that no tenant takes the others' places.
    pub watchers_of_tenant_max: usize,
    /// What an import and a directory may hold.
    pub limits: Limits,
}

/// What an import and a directory may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries of one import: 100,000 users with a station and two numbers each.
    pub entries: u64,
    /// The most bytes of one import's messages: what a file of a directory may have.
    pub bytes: usize,
    /// The most users of a tenant.
    pub users: usize,
    /// The most number assignments of a tenant.
    pub numbers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            page_key: None,
            imports_max: 32,
            imports_bytes_max: 256 * 1024 * 1024,
            watchers_max: 10_000,
            watchers_of_tenant_max: 100,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 400_000, bytes: 128 * 1024 * 1024, users: 100_000, numbers: 200_000 }
    }
}
