//! The writer of policy; see the module of that name.
