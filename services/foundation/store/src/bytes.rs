//! Stored bytes: what both backends read and write them with. All integers are big-endian.

use tandem_domain::id::{Incarnation, TenantId, TenantName};

/// Bytes that do not say what they should: what is stored is damaged, or was written by another release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database holds {0} that this release cannot read")]
pub(crate) struct Damaged(pub(crate) &'static str);

/// A cursor over stored bytes.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Damaged> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(Damaged("a short value"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.bytes(N)?.try_into().map_err(|_| Damaged("a short value"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damaged> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damaged> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Damaged> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Damaged> {
        let n = self.u32()?;
        self.bytes(n as usize)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.sized()?).map_err(|_| Damaged("text that is not UTF-8"))
    }
}

pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    // Commits are limited to 1 MiB, so that a length always fits.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// `name 0 incarnation`: tenants sort by name, and none is another's prefix.
pub(crate) fn put_tenant(out: &mut Vec<u8>, tenant: &TenantId) {
    out.extend_from_slice(tenant.name.as_str().as_bytes());
    out.push(0);
    out.extend_from_slice(&tenant.incarnation.0.to_be_bytes());
}

pub(crate) fn take_tenant(from: &mut Take<'_>) -> Result<TenantId, Damaged> {
    let end = from.0.iter().position(|b| *b == 0).ok_or(Damaged("a key without tenant"))?;
    let name = std::str::from_utf8(from.bytes(end)?).map_err(|_| Damaged("a tenant's name"))?;
    from.u8()?;
    let incarnation = Incarnation(from.u128()?);
    let cell = TenantName::reserved_cell();
    let name = if name == cell.as_str() {
        cell
    } else {
        TenantName::parse(name).map_err(|_| Damaged("a tenant's name"))?
    };
    Ok(TenantId { name, incarnation })
}

/// 64-bit FNV-1a, upper half folded onto the lower: where things lie is stored state, so this never changes.
pub(crate) fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV-1a mix less than the high ones: fold them.
    hash ^ (hash >> 32)
}
