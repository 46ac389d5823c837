//! Directory documents, sent to the station service: the only writer of directories.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::{API_VERSION, KIND_DIRECTORY, KIND_TENANT};
use tandem_domain::id::TenantName;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::directory_client::DirectoryClient;
use tandem_proto::station::v1::import_directory_request::{Header, Item, Mode};
use tandem_runtime::document::{Document, Finding, Limits, Rejected, Severity, Source};
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};

use crate::failure::Input;

/// How an import is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// Check everything, apply nothing.
    pub(crate) dry_run: bool,
    /// The directory becomes exactly these entries.
    pub(crate) replace: bool,
}

/// What became of the documents of a file.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Those that were sent.
    pub(crate) imported: Vec<Imported>,
    /// The tenants whose directory was passed over: they are not there.
    pub(crate) passed_over: Vec<TenantName>,
}

/// What became of one document.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Where it was read.
    pub(crate) path: PathBuf,
    /// Whose directory.
    pub(crate) tenant: TenantName,
    /// Its text, to place what was found.
    pub(crate) document: Document,
    /// The paths of its entries in the order in which they were sent; the first is the header's.
    pub(crate) entries: Vec<String>,
    /// What station answered.
    pub(crate) response: pb::ImportDirectoryResponse,
}

/// The files meant: a file as it is, a directory's YAML in the order of names.
///
/// # Errors
/// What cannot be read.
pub(crate) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Input(format!("{}: no such file or directory", path.display())).into());
        }
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let mut within = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
        within.retain(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml") && p.is_file());
        within.sort();
        files.append(&mut within);
    }
    Ok(files)
}

/// Reads the directories of a file; documents of `kind: Tenant` are passed over.
///
/// # Errors
/// What is wrong with the text, with its place.
pub(crate) fn read(path: &Path) -> Result<Vec<(Document, DirectoryDocument)>, Rejected> {
    let mut read = Vec::new();
    for document in Source::read(path, Limits::IMPORT)?.documents()? {
        match document.scalar("kind").as_deref() {
            Some(KIND_TENANT) => {}
            Some(KIND_DIRECTORY) | None => read.push((document.clone(), parse(&document)?)),
            Some(other) => return Err(fault(&document, "kind", format!("`{other}` is no kind known here"))),
        }
    }
    Ok(read)
}

/// Reads one document of `kind: Directory`.
///
/// # Errors
/// What is wrong with the text, with its place.
pub(crate) fn parse(document: &Document) -> Result<DirectoryDocument, Rejected> {
    let directory: DirectoryDocument = document.parse()?;
    if directory.api_version != API_VERSION {
        return Err(fault(document, "apiVersion", format!("this release reads {API_VERSION}")));
    }
    Ok(directory)
}

fn fault(document: &Document, path: &str, message: String) -> Rejected {
    let fix = Some(format!("write apiVersion: {API_VERSION} and kind: Directory"));
    Rejected(document.place([Finding { severity: Severity::Error, path: path.into(), message, fix }]))
}

/// Imports the directories of a file; those of tenants that are not `there` are passed over.
///
/// # Errors
/// A text that cannot be read, or a service that refuses the whole. Entries that are not taken are in the answers.
pub(crate) async fn file<T>(
    channel: &T,
    path: &Path,
    wish: Wish,
    there: impl Fn(&TenantName) -> bool,
) -> anyhow::Result<File>
where
    T: GrpcService<tonic::body::Body> + Clone,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    let mut file = File::default();
    for (document, directory) in read(path)? {
        let tenant = TenantName::parse(directory.metadata.name.as_str())
            .map_err(|why| fault(&document, "metadata.name", why.to_string()))?;
        if !there(&tenant) {
            file.passed_over.push(tenant);
            continue;
        }
        let (entries, messages) = messages(&tenant, &directory, wish);
        let mut client = DirectoryClient::new(channel.clone());
        let response = client.import_directory(tokio_stream::iter(messages)).await?.into_inner();
        file.imported.push(Imported { path: path.to_owned(), tenant, document, entries, response });
    }
    Ok(file)
}

/// A directory as the messages of an import, each with the path of its entry.
fn messages(
    tenant: &TenantName,
    directory: &DirectoryDocument,
    wish: Wish,
) -> (Vec<String>, Vec<pb::ImportDirectoryRequest>) {
    use tandem_wire::directory as wire;
    let mode = if wish.replace { Mode::Replace } else { Mode::Merge };
    let header = Header {
        parent: tandem_wire::name::tenant(tenant),
        dry_run: wish.dry_run,
        mode: mode.into(),
        source: pb::Source::Tandem.into(),
        request_id: String::new(),
    };
    let mut items = vec![(String::new(), Item::Header(header))];
    let spec = &directory.spec;
    let path = |list: &str, at: usize| format!("spec.{list}[{at}]");
    items.extend(
        spec.stations
            .iter()
            .enumerate()
            .map(|(i, s)| (path("stations", i), Item::Station(wire::station(tenant, s)))),
    );
    items.extend(
        spec.users.iter().enumerate().map(|(i, u)| (path("users", i), Item::User(wire::user(tenant, u)))),
    );
    items.extend(
        spec.workgroups
            .iter()
            .enumerate()
            .map(|(i, w)| (path("workgroups", i), Item::Workgroup(wire::workgroup(tenant, w)))),
    );
    items.extend(
        spec.numbers.iter().enumerate().map(|(i, n)| (path("numbers", i), Item::Number(wire::number(n)))),
    );
    items.into_iter().map(|(path, item)| (path, pb::ImportDirectoryRequest { item: Some(item) })).unzip()
}
