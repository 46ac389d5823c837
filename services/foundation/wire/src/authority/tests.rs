use std::collections::BTreeSet;

use http::HeaderValue;
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::Code;
use tonic_types::StatusExt;

use super::*;
use crate::caller::{Caller, DEV_SCOPES, Scopes, Table, Tenants};

mod server;

/// Every file of ours, and of what our servers serve beside.
fn files() -> Vec<FileDescriptorProto> {
    let sets = [
        tandem_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file).collect()
}

/// Each method's path and the full name of its request.
fn methods() -> Vec<(String, String)> {
    let mut methods = Vec::new();
    for file in files() {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.push((path, method.input_type().trim_start_matches('.').to_owned()));
            }
        }
    }
    methods
}

#[test]
fn every_method_has_exactly_one_rule_and_every_rule_a_method() {
    let methods: BTreeSet<String> = methods().into_iter().map(|(path, _)| path).collect();
    let rules: BTreeSet<String> = RULES.iter().map(|rule| rule.method.to_owned()).collect();
    assert_eq!(rules.len(), RULES.len(), "a method has two rules");
    let bare: Vec<_> = methods.difference(&rules).collect();
    assert!(bare.is_empty(), "methods without a rule: {bare:?}");
    let idle: Vec<_> = rules.difference(&methods).collect();
    assert!(idle.is_empty(), "rules without a method: {idle:?}");
}

/// A message by its full name, nested ones included.
fn message(name: &str) -> Option<DescriptorProto> {
    fn within(prefix: &str, messages: &[DescriptorProto], name: &str) -> Option<DescriptorProto> {
        messages.iter().find_map(|message| {
            let full = format!("{prefix}.{}", message.name());
            if full == name { Some(message.clone()) } else { within(&full, &message.nested_type, name) }
        })
    }
    files().iter().find_map(|file| within(file.package(), &file.message_type, name))
}

#[test]
fn the_field_that_names_the_tenant_is_a_text_of_the_request() {
    for (path, request) in methods() {
        let Some(field) = rule(&path).and_then(|rule| rule.tenant) else { continue };
        let mut at = message(&request).unwrap();
        let mut steps = field.split('.').peekable();
        while let Some(step) = steps.next() {
            let found = at.field.iter().find(|f| f.name() == step);
            let found = found.unwrap_or_else(|| panic!("{path}: {request} has no field {field}")).clone();
            if steps.peek().is_some() {
                at = message(found.type_name().trim_start_matches('.')).unwrap();
            } else {
                assert_eq!(found.r#type(), Type::String, "{path}: {field}");
            }
        }
    }
}

#[test]
fn whoever_asks_about_a_tenant_needs_a_scope() {
    for rule in RULES {
        assert_eq!(matches!(rule.access, Access::Scope(_)), rule.tenant.is_some(), "{}", rule.method);
    }
}

fn pass(method: &str, peer: Option<Peer>, scopes: Option<&str>) -> Result<Option<Caller>, Status> {
    let gate = Gate::new(Callers::new(Table::default()).dev());
    let mut extensions = Extensions::new();
    if let Some(peer) = peer {
        extensions.insert(peer);
    }
    let mut headers = HeaderMap::new();
    if let Some(scopes) = scopes {
        headers.insert(DEV_SCOPES, HeaderValue::from_str(scopes).unwrap());
    }
    gate.check(method, &headers, &mut extensions)?;
    Ok(extensions.remove::<Caller>())
}

#[test]
fn the_gate_lets_through_who_has_the_scope_and_says_who_it_is() {
    let method = "/tandem.routing.v1.Routing/RouteCall";
    let caller = pass(method, Some(Peer::default()), Some("routing.decide")).unwrap().unwrap();
    assert_eq!(caller.subject(), "dev");
    let status = pass(method, Some(Peer::default()), Some("routing.read")).unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.get_error_details().error_info().unwrap().metadata["scope"], "routing.decide");
}

#[test]
fn the_gate_asks_nothing_of_public_methods_and_knows_no_others() {
    let stranger = Peer { remote: "192.0.2.1:5".parse().ok(), ..Peer::default() };
    for (method, code) in [
        ("/grpc.health.v1.Health/Check", None),
        ("/tandem.routing.v1.Routing/RouteCall", Some(Code::Unauthenticated)),
        ("/tandem.sim.v1.Simulator/Reset", Some(Code::Unimplemented)),
        ("/tandem.routing.v1.Routing/Nothing", Some(Code::Unimplemented)),
        ("", Some(Code::Unimplemented)),
    ] {
        let passed = pass(method, Some(stranger.clone()), None);
        assert_eq!(passed.err().map(|status| status.code()), code, "{method}");
    }
    assert_eq!(pass("/grpc.health.v1.Health/Check", None, None).unwrap(), None);
    let status = pass("/tandem.routing.v1.Routing/RouteCall", None, None).unwrap_err();
    assert_eq!(status.code(), Code::Internal);
}

#[test]
fn a_handler_without_a_gate_refuses() {
    let mut request = tonic::Request::new(());
    assert!(Caller::of(&request).is_err());
    let caller = Caller::new("jane", Tenants::All, Scopes::all());
    request.extensions_mut().insert(caller.clone());
    assert_eq!(Caller::of(&request).unwrap(), caller);
}
