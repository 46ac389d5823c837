//! Golden files of the tests: what a person reviewed, and what the code says now must equal.
//!
//! `TANDEM_BLESS=1 cargo test -p tandem-domain` writes them anew; then read the difference.

use std::path::Path;

/// Compares with a file of `tests/policy/golden`.
pub(crate) fn check(file: &str, now: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/golden");
    check_at(&folder.join(file), now);
}

/// Compares with a file anywhere.
pub(crate) fn check_at(path: &Path, now: &str) {
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    if kept != now {
        let differs = kept.lines().zip(now.lines()).enumerate().find(|(_, (k, n))| k != n);
        let where_ = differs.map_or_else(
            || format!("{} lines are kept, {} are said now", kept.lines().count(), now.lines().count()),
            |(at, (k, n))| format!("line {}:\nkept: {k}\nnow:  {n}", at + 1),
        );
        panic!("{} is not what the code says; {where_}\nTANDEM_BLESS=1 writes it anew", path.display());
    }
}
