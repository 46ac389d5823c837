//! What each tenant may have of this process at once, so that none takes the places of the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_domain::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places for each tenant. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    each: usize,
    taken: Mutex<HashMap<TenantId, Taken>>,
}

/// What a tenant has taken.
#[derive(Debug)]
struct Taken {
    places: usize,
    turn: Arc<Semaphore>,
}

/// A place that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    tenant: TenantId,
    turn: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(each: usize) -> Self {
        Self(Arc::new(Inner { each, taken: Mutex::default() }))
    }

    /// Takes a place; none: the tenant has all of its own.
    pub(crate) fn take(&self, tenant: &TenantId) -> Option<Place> {
        let mut taken = self.lock();
        let places = taken.get(tenant).map_or(0, |t| t.places);
        if places >= self.0.each {
            return None;
        }
        let first = || Taken { places: 0, turn: Arc::new(Semaphore::new(1)) };
        let theirs = taken.entry(tenant.clone()).or_insert_with(first);
        theirs.places += 1;
        let turn = Arc::clone(&theirs.turn);
        Some(Place { places: self.clone(), tenant: tenant.clone(), turn })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Taken>> {
        // What the lock guards stays whole through a panic: counts are changed in one step.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until it is this place's turn, of those of its tenant; first come, first served. Cancel-safe.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore.
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Entry::Occupied(mut theirs) = taken.entry(self.tenant.clone()) {
            theirs.get_mut().places -= 1;
            if theirs.get().places == 0 {
                theirs.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_domain::id::{Incarnation, TenantName};

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
    }

    #[tokio::test]
    async fn a_tenant_has_its_own_places_and_turns_and_leaves_nothing_behind() {
        let (acme, beta) = (tenant("acme"), tenant("beta"));
        let places = Places::new(2);
        let (one, two) = (places.take(&acme).unwrap(), places.take(&acme).unwrap());
        assert!(places.take(&acme).is_none());
        let other = places.take(&beta).unwrap();
        let turn = one.turn().await.unwrap();
        assert!(other.turn().await.is_some(), "another tenant's turn is another");
        {
            let mut waiting = std::pin::pin!(two.turn());
            assert!(futures::poll!(&mut waiting).is_pending());
            drop(turn);
            assert!(waiting.await.is_some());
        }
        drop(one);
        assert!(places.take(&acme).is_some());
        drop((two, other));
        assert!(places.lock().is_empty());
    }
}
