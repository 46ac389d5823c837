//! Remembers: the log-backed store and its embedded backend.
