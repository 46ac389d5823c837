//! Translates: domain to proto and back, status and reasons, callers, the authority table.
