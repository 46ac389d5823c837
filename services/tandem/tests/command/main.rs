//! The built binary, as a person or a script uses it.

mod calls;
mod files_checked;
mod harness;
mod running;
mod small;
