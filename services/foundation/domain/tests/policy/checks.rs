//! `docs/checks.md`: every code, what it means, and the fix.

use tandem_domain::finding::Check;
use tandem_domain::{directory, tenant};

use crate::golden;

#[test]
fn the_page_of_checks_is_current() {
    let mut page = String::from(
        "# Checks\n\n\
         Everything that `tandem tenant check` and the directory look for. Generated from the code by \
         `TANDEM_BLESS=1 cargo test -p tandem-domain --test policy`; do not edit.\n\n\
         A policy with an error is not accepted, and the one before it stays in force. Nothing that is found in a \
         directory blocks anything, but for the three shapes that say so: it is a state of the record, shown where \
         the record is shown. \"Domain rules N\" is a section of [domain.md](domain.md).\n",
    );
    section(
        &mut page,
        "Policy",
        "`tandem tenant check FILE`, and the `Accepted` condition of a `Tenant`.",
        tenant::checks::ALL,
    );
    section(
        &mut page,
        "Directory",
        "`tandem tenant check FILE`, and each answer about a user.",
        directory::checks::ALL,
    );
    golden::check_at(&crate::top().join("docs/checks.md"), &page);
}

fn section(page: &mut String, title: &str, words: &str, checks: &[Check]) {
    *page += &format!("\n## {title}\n\n{words}\n\n| code | | meaning | fix |\n| --- | --- | --- | --- |\n");
    for check in checks {
        let cell = |s: &str| s.replace('|', "\\|");
        *page += &format!(
            "| `{}` | {} | {} | {} |\n",
            check.code,
            check.severity,
            cell(check.meaning),
            cell(check.fix)
        );
    }
}
