//! Harness, scenarios and architecture rules.
