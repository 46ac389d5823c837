//! Tenants, policies, ingress claims and processes as fields.

use std::net::IpAddr;

use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_domain::ingress::Network;
use tandem_domain::record::{Claimed, IngressClaim, PolicyRecord, ProcessRecord, TenantRecord};

use super::fields::{In, Out, Why, name, needed, number, string, text};

fn write_tenant_id(out: &mut Out, tag: u8, tenant: &TenantId) {
    out.nested(tag, |out| {
        out.text(1, tenant.name.as_str());
        out.number(2, tenant.incarnation.0);
    });
}

fn read_tenant_id(mut fields: In<'_>) -> Result<Option<TenantId>, Why> {
    let (mut tenant, mut incarnation) = (None, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 if bytes == TenantName::reserved_cell().as_str().as_bytes() => {
                tenant = Some(TenantName::reserved_cell());
            }
            1 => tenant = name(bytes)?,
            2 => incarnation = number(bytes)?.map(Incarnation),
            _ => {}
        }
    }
    let incarnation = needed(incarnation, "incarnation")?;
    Ok(Some(TenantId { name: needed(tenant, "tenant's name")?, incarnation }))
}

pub(super) fn write_tenant(out: &mut Out, record: &TenantRecord) {
    write_tenant_id(out, 1, &record.tenant);
    out.flag(2, record.deleting);
}

pub(super) fn read_tenant(mut fields: In<'_>) -> Result<TenantRecord, Why> {
    let (mut tenant, mut deleting) = (None, false);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => tenant = read_tenant_id(In(bytes))?,
            2 => deleting = true,
            _ => {}
        }
    }
    Ok(TenantRecord { tenant: needed(tenant, "tenant")?, deleting })
}

/// The spec is JSON: it is a document with a schema of its own, read once for each change of a tenant's policy.
pub(super) fn write_policy(out: &mut Out, record: &PolicyRecord) {
    out.number(1, u128::from(record.generation));
    let spec = serde_json::to_vec(&record.spec);
    // Documents have no maps with keys that are no strings, and memory does not fail.
    debug_assert!(spec.is_ok(), "{spec:?}");
    out.bytes(2, &spec.unwrap_or_default());
}

pub(super) fn read_policy(mut fields: In<'_>) -> Result<PolicyRecord, Why> {
    let (mut generation, mut spec) = (None, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => generation = number(bytes)?,
            2 => spec = Some(serde_json::from_slice(bytes).map_err(|e| e.to_string())?),
            _ => {}
        }
    }
    Ok(PolicyRecord { generation: needed(generation, "generation")?, spec: needed(spec, "spec")? })
}

const SOURCE: u8 = 1;
const CERTIFICATE: u8 = 2;
const DOMAIN: u8 = 3;

pub(super) fn write_claim(out: &mut Out, claim: &IngressClaim) {
    write_tenant_id(out, 1, &claim.tenant);
    out.text(2, claim.trunk.as_str());
    match &claim.what {
        Claimed::Source { listener, network, called } => {
            out.bytes(3, &[SOURCE]);
            out.text(4, listener.as_str());
            out.text(5, &network.address().to_string());
            out.number(6, u128::from(network.bits()));
            out.text_if(9, called.as_deref());
        }
        Claimed::Certificate { name, called } => {
            out.bytes(3, &[CERTIFICATE]);
            out.text(7, name);
            out.text_if(9, called.as_deref());
        }
        Claimed::Domain { listener, domain } => {
            out.bytes(3, &[DOMAIN]);
            out.text(4, listener.as_str());
            out.text(8, domain);
        }
    }
}

pub(super) fn read_claim(mut fields: In<'_>) -> Result<IngressClaim, Why> {
    let (mut tenant, mut trunk, mut form, mut listener, mut address) = (None, None, None, None, None);
    let (mut bits, mut certificate, mut domain, mut called) = (None, None, None, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => tenant = read_tenant_id(In(bytes))?,
            2 => trunk = name(bytes)?,
            3 => form = bytes.first().copied(),
            4 => listener = name(bytes)?,
            5 => address = Some(text(bytes)?.parse::<IpAddr>().map_err(|e| e.to_string())?),
            6 => bits = number::<u8>(bytes)?,
            7 => certificate = string(bytes)?,
            8 => domain = string(bytes)?,
            9 => called = string(bytes)?,
            _ => {}
        }
    }
    let what = match form {
        Some(SOURCE) => {
            let network = Network::new(needed(address, "address")?, needed(bits, "network's bits")?);
            let network = network.ok_or("a network of more bits than its address has")?;
            Claimed::Source { listener: needed(listener, "listener")?, network, called }
        }
        Some(CERTIFICATE) => {
            Claimed::Certificate { name: needed(certificate, "certificate's name")?, called }
        }
        Some(DOMAIN) => {
            Claimed::Domain { listener: needed(listener, "listener")?, domain: needed(domain, "domain")? }
        }
        _ => return Err("a claim of no form that this release knows".into()),
    };
    Ok(IngressClaim { what, tenant: needed(tenant, "tenant")?, trunk: needed(trunk, "trunk")? })
}

pub(super) fn write_process(out: &mut Out, process: &ProcessRecord) {
    out.text(1, &process.id);
    out.text(2, &process.role);
    out.text(3, &process.version);
    out.number(4, u128::from(process.formats.0));
    out.number(5, u128::from(process.formats.1));
    for listener in &process.listeners {
        out.text(6, listener.as_str());
    }
}

pub(super) fn read_process(mut fields: In<'_>) -> Result<ProcessRecord, Why> {
    let (mut id, mut role, mut version, mut from, mut to) = (None, None, None, None, None);
    let mut listeners = Vec::new();
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => id = string(bytes)?,
            2 => role = string(bytes)?,
            3 => version = string(bytes)?,
            4 => from = number(bytes)?,
            5 => to = number(bytes)?,
            6 => listeners.extend(name(bytes)?),
            _ => {}
        }
    }
    Ok(ProcessRecord {
        id: needed(id, "id")?,
        role: needed(role, "role")?,
        version: needed(version, "version")?,
        formats: (needed(from, "first format")?, needed(to, "last format")?),
        listeners,
    })
}
