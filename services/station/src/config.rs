//! What an operator may set.

/// The settings of station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Signs page tokens: the same on every replica, so that a page may be asked of another. None: from chance,
    /// and pages are this process's own.
    pub page_key: Option<[u8; 32]>,
    /// Imports that are read or written at once. Each may keep [`IMPORT_BYTES_MAX`](crate::Config::IMPORT_BYTES_MAX)
    /// of entries in memory.
    pub imports_max: usize,
    /// Watches at once. Each keeps what its reader has not taken, at most one entry a user.
    pub watchers_max: usize,
}

impl Config {
    /// The most entries of one import: 100,000 users with a station and two numbers each.
    pub const ENTRIES_MAX: u64 = 400_000;
    /// The most bytes of one import's messages: what a file of a directory may have.
    pub const IMPORT_BYTES_MAX: usize = 128 * 1024 * 1024;
    /// The most users of a tenant.
    pub const USERS_MAX: usize = 100_000;
    /// The most number assignments of a tenant.
    pub const NUMBERS_MAX: usize = 200_000;
}

impl Default for Config {
    fn default() -> Self {
        Self { page_key: None, imports_max: 2, watchers_max: 10_000 }
    }
}
