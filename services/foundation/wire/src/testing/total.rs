//! What a fuzzer calls.

use std::fmt::Debug;

use prost::Message;
use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_proto::{routing::v1 as routing, station::v1 as station};

use crate::page::{Key, List, Signer};
use crate::violation::Violations;
use crate::{attempt, directory, feed, name, plan, request};

/// Reads bytes as each message that we take. What can be read is written and read again, and must be the same.
///
/// # Panics
/// When it is not the same, or when a conversion panics: both are faults.
pub fn read_all(bytes: &[u8]) {
    let tenant = TenantName::parse("acme").unwrap_or_else(|error| panic!("{error}"));
    if let Ok(message) = routing::RouteCallRequest::decode(bytes) {
        let _ = name::parent("parent", &message.parent);
        let read = attempt::Attempt::read(message.attempt.as_ref());
        if let Ok(read) = &read {
            let written = attempt::message(read.call(), read.call_id());
            assert_eq!(attempt::Attempt::read(Some(&written)).as_ref(), Ok(read));
        }
        read_in_place(bytes, &message, &read);
    }
    if let Ok(message) = routing::Assumptions::decode(bytes) {
        let _ = plan::read_assumptions(Some(message));
    }
    if let Ok(message) = routing::Chunk::decode(bytes) {
        same(feed::read(message), |read| match read {
            feed::Read::Skipped => Ok(feed::Read::Skipped),
            feed::Read::Changes(changes) => {
                // Written, the changes of one chunk may need several.
                let mut again = Vec::new();
                for chunk in feed::chunks(changes) {
                    match feed::read(chunk)? {
                        feed::Read::Changes(these) => again.extend(these),
                        feed::Read::Skipped => {}
                    }
                }
                Ok(feed::Read::Changes(again))
            }
        });
    }
    if let Ok(message) = station::User::decode(bytes) {
        same(directory::read_user(&tenant, message), |user| {
            directory::read_user(&tenant, directory::user(&tenant, user))
        });
    }
    if let Ok(message) = station::Station::decode(bytes) {
        same(directory::read_station(&tenant, message), |station| {
            directory::read_station(&tenant, directory::station(&tenant, station))
        });
    }
    if let Ok(message) = station::Workgroup::decode(bytes) {
        same(directory::read_workgroup(&tenant, message), |workgroup| {
            directory::read_workgroup(&tenant, directory::workgroup(&tenant, workgroup))
        });
    }
    if let Ok(message) = station::NumberAssignment::decode(bytes) {
        same(directory::read_number(message), |number| directory::read_number(directory::number(number)));
    }
    read_requests(&tenant, bytes);
}

/// What is read from the bytes themselves is what the generated message says.
fn read_in_place(
    bytes: &[u8],
    message: &routing::RouteCallRequest,
    read: &Result<attempt::Attempt<'_>, Violations>,
) {
    let Some(call) = request::RouteCall::read(bytes) else { return };
    assert_eq!(call.parent, message.parent);
    assert_eq!((call.min_revision, call.tag), (message.min_revision, message.tag));
    assert_eq!(&call.attempt(), read);
    let kept = routing::CallAttempt::decode(call.attempt_bytes());
    assert_eq!(kept.as_ref(), Ok(&message.attempt.clone().unwrap_or_default()));
}

/// Requests that are read and never written.
fn read_requests(tenant: &TenantName, bytes: &[u8]) {
    use routing::follow_request::Message as Follow;
    if let Ok(message) = station::ImportDirectoryRequest::decode(bytes) {
        if let Some(station::import_directory_request::Item::Delete(name)) = &message.item {
            let _ = request::read_delete(tenant, name);
        }
        let _ = request::read_import_header(message.item);
    }
    if let Ok(message) = station::ResolveUserRequest::decode(bytes) {
        let _ = request::read_resolve_key(message.key);
    }
    if let Ok(message) = station::WatchUsersRequest::decode(bytes) {
        read_token(tenant, &message.resume_token);
    }
    read_token(tenant, &String::from_utf8_lossy(bytes));
    if let Ok(message) = routing::ListDecisionsRequest::decode(bytes) {
        let _ = request::DecisionFilter::read(&message).map(|filter| filter.parts());
    }
    if let Ok(message) = routing::FollowRequest::decode(bytes) {
        match message.message {
            Some(Follow::Hello(hello)) => drop(request::read_hello(hello)),
            Some(Follow::Acknowledgement(ack)) => drop(request::check_acknowledgement(&ack)),
            Some(Follow::Calls(calls)) => {
                calls.events.into_iter().for_each(|event| drop(request::read_call_event(event)));
            }
            None => {}
        }
    }
}

/// A token that nobody signed is none, of a list or of a watch; and what was signed for one is read for it.
fn read_token(tenant: &TenantName, token: &str) {
    let tenant = TenantId { name: tenant.clone(), incarnation: Incarnation(1) };
    let signer = Signer::new(Key::new([1; 32]), Some(Key::of_cell(2)));
    let list = List { tenant: &tenant, caller: "jane", method: "/x.v1.X/Watch", filter: &["a=1"] };
    assert_eq!(signer.resume(list, token).is_ok(), token.is_empty());
    assert_eq!(signer.read(list, token).is_ok(), token.is_empty());
    let position = &token.as_bytes()[..token.len().min(1_024)];
    let signed = signer.resume(list, &signer.sign(list, position)).ok().flatten();
    assert_eq!(signed.as_deref(), Some(position));
}

fn same<T: PartialEq + Debug>(read: Result<T, Violations>, again: impl FnOnce(&T) -> Result<T, Violations>) {
    if let Ok(value) = read {
        let again = again(&value);
        assert_eq!(again, Ok(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fuzz target starts from: one message of each kind, so that each is read here, too.
    #[test]
    fn the_kept_messages_come_through() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fuzz/seeds/wire_convert");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 20, "{files:?}");
        files.iter().for_each(|file| read_all(&std::fs::read(file).unwrap()));
    }
}
