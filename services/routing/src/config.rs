//! What an operator may set.

/// The settings of routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many of its own decisions a process remembers. Each costs about a kilobyte.
    pub decisions_max: usize,
    /// How much of what its edges decided a process remembers, in bytes; one decision costs about a kilobyte. When it
    /// is full, the oldest goes of the caller, and of its edge, that has the most: one that is flooded cannot push
    /// out what others decided.
    pub edge_decisions_bytes_max: usize,
    /// Signs page tokens: the same on every replica, so that a page may be asked of another. None: from chance,
    /// and pages are this process's own.
    pub page_key: Option<[u8; 32]>,
    /// Edges that follow the feed at once. Each keeps a state of the cell until it has taken it.
    pub edges_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            decisions_max: 65_536,
            edge_decisions_bytes_max: 64 * 1024 * 1024,
            page_key: None,
            edges_max: 1_000,
        }
    }
}
