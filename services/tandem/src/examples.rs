//! The example tenants, built into the binary: three fictional companies, one of each model.

use std::fs;
use std::path::Path;

use crate::failure::Unwritable;

/// Name, tenant and directory.
pub(crate) const EXAMPLES: [(&str, &str, &str); 3] = [
    (
        "brandt",
        include_str!("../../../examples/tenants/brandt.yaml"),
        include_str!("../../../examples/directories/brandt.yaml"),
    ),
    (
        "albion",
        include_str!("../../../examples/tenants/albion.yaml"),
        include_str!("../../../examples/directories/albion.yaml"),
    ),
    (
        "cascade",
        include_str!("../../../examples/tenants/cascade.yaml"),
        include_str!("../../../examples/directories/cascade.yaml"),
    ),
];

/// Writes the examples under `base/tenants` and `base/directories`. What is there already stays as it is.
///
/// # Errors
/// What cannot be written.
pub(crate) fn unpack(base: &Path) -> anyhow::Result<()> {
    let unwritable = |path: &Path, why: std::io::Error| Unwritable {
        path: path.display().to_string(),
        flag: "--data",
        why: why.to_string(),
    };
    for (folder, pick) in [("tenants", 1), ("directories", 2)] {
        let folder = base.join(folder);
        if folder.exists() {
            continue;
        }
        fs::create_dir_all(&folder).map_err(|why| unwritable(&folder, why))?;
        for (name, tenant, directory) in EXAMPLES {
            let file = folder.join(name).with_extension("yaml");
            let text = if pick == 1 { tenant } else { directory };
            fs::write(&file, text).map_err(|why| unwritable(&file, why))?;
        }
    }
    Ok(())
}
