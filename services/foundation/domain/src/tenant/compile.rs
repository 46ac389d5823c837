//! From what was written to what it means, or to every reason why it cannot be meant.
//!
//! All checks run, whatever the others found: a person mends a document once. A part that failed is replaced by
//! something harmless so that the rest can go on; the result is thrown away then.

mod media;
mod numbers;
mod scope;
mod sites;
mod trunks;

use crate::document::policy::{self, TenantDocument, TenantSpec};
use crate::document::{API_VERSION, KIND_TENANT, POLICY_BYTES_MAX};
use crate::finding::Finding;
use crate::id::TenantName;

use super::config::{Config, Features, Limits};
use super::{Compiled, checks};
use scope::Scope;

/// Names that Tandem uses itself: in `_cell` keys, metrics and listeners.
pub const RESERVED: [&str; 4] = ["cell", "shared", "tandem", "unknown"];

/// Compiles a tenant's policy.
///
/// # Errors
/// Every finding, the document's order kept within a part, when at least one of them is an error.
pub fn compile(name: &str, spec: &TenantSpec) -> Result<Compiled, Vec<Finding>> {
    finish(Scope::new(spec), name, spec)
}

/// Compiles a document, its `apiVersion` and `kind` included.
///
/// # Errors
/// As [`compile`].
pub fn compile_document(document: &TenantDocument) -> Result<Compiled, Vec<Finding>> {
    let mut scope = Scope::new(&document.spec);
    for (field, given, right) in
        [("apiVersion", &document.api_version, API_VERSION), ("kind", &document.kind, KIND_TENANT)]
    {
        if given != right {
            scope.found.push(checks::DOCUMENT_WRONG_KIND.at(field, format!("{given:?} is not {right:?}")));
        }
    }
    finish(scope, &document.metadata.name, &document.spec)
}

fn finish(mut scope: Scope<'_>, name: &str, spec: &TenantSpec) -> Result<Compiled, Vec<Finding>> {
    let name = tenant_name(&mut scope, name);
    texts(&mut scope, spec);
    let config = build(&mut scope, name, spec);
    match config {
        Some(config) if !scope.found.iter().any(Finding::is_error) => {
            Ok(Compiled { config, warnings: scope.found })
        }
        _ => Err(scope.found),
    }
}

fn tenant_name(scope: &mut Scope<'_>, name: &str) -> Option<TenantName> {
    if RESERVED.contains(&name) {
        scope.found.push(checks::NAME_RESERVED.at("metadata.name", format!("{name:?} is reserved")));
    }
    TenantName::parse(name)
        .map_err(|e| scope.found.push(checks::NAME_INVALID.at("metadata.name", e.to_string())))
        .ok()
}

/// Walks every text of the document, so that no field can be forgotten.
fn texts(scope: &mut Scope<'_>, spec: &TenantSpec) {
    // A document is plain data: writing it into memory cannot fail.
    let Ok(value) = serde_json::to_value(spec) else { return };
    let bytes = value.to_string().len();
    if bytes > POLICY_BYTES_MAX {
        let words = format!("{bytes} bytes of JSON are more than {POLICY_BYTES_MAX}");
        scope.found.push(checks::DOCUMENT_TOO_LARGE.at("spec", words));
    }
    crate::finding::texts(
        &value,
        "spec",
        &mut scope.found,
        &checks::TEXT_CONTROL_CHARACTER,
        &checks::TEXT_TOO_LONG,
    );
}

fn build(scope: &mut Scope<'_>, name: Option<TenantName>, spec: &TenantSpec) -> Option<Config> {
    let (mut sites, places) = sites::sites(scope);
    let trunks = trunks::trunks(scope, &sites, &places);
    let emergency_numbers = sites::emergency(scope, &mut sites, &trunks, &places);
    let treatments = numbers::treatments(scope, &spec.treatments);
    let config = Config {
        name: name?,
        display_name: spec.display_name.as_deref().map(Into::into),
        cell: spec.cell.as_deref().map(Into::into),
        model: spec.model,
        inbound: spec.inbound,
        places,
        dial_plan: numbers::dial_plan(scope, &spec.dial_plan),
        ranges: numbers::ranges(scope, &spec.numbers.ranges),
        routes: numbers::routes(scope, &spec.numbers.routes),
        default_route: numbers::default_route(scope, spec),
        media: media::media(scope, &spec.media, &places),
        lync_pstn_egress: spec.lync_pstn_egress,
        emergency_numbers,
        toll: numbers::toll(scope, &spec.toll),
        treatments,
        lync: media::lync(scope, spec),
        survivable: media::survivable(scope, spec),
        features: Features { row5: spec.features.row5 },
        limits: limits(scope, &spec.limits),
        sites,
        trunks: trunks.into(),
    };
    trunks::between(scope, &config);
    media::across(scope, &config);
    Some(config)
}

fn limits(scope: &mut Scope<'_>, given: &policy::Limits) -> Limits {
    let (usual, elsewhere) = (Limits::ATTEMPTS_ALIKE, Limits::ATTEMPTS_ALIKE_ELSEWHERE);
    Limits {
        attempts_alike: scope.within(given.attempts_alike, 1, 100, usual, "spec.limits.attemptsAlike"),
        attempts_alike_elsewhere: scope.within(
            given.attempts_alike_elsewhere,
            1,
            1_000,
            elsewhere,
            "spec.limits.attemptsAlikeElsewhere",
        ),
    }
}
