//! Where readers find the database, and wait while the writer opens it anew.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::Database;

use crate::types::Error;

/// How long a reader waits for the writer to open the database anew. It takes milliseconds, or the disk is ill.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database as readers find it.
pub(super) enum Opened {
    Open(Arc<Database>),
    /// It failed, for this reason, and is being opened anew.
    Reopening(String),
    /// It could not be opened anew, for this reason; the next request to the writer tries again.
    Away(String),
    Closed,
}

/// The one place where the database is found.
pub(super) struct Gate {
    opened: Mutex<Opened>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new(database: Database) -> Self {
        Self { opened: Mutex::new(Opened::Open(Arc::new(database))), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database, if it is open.
    pub(super) fn open(&self) -> Option<Arc<Database>> {
        match &*self.lock() {
            Opened::Open(database) => Some(Arc::clone(database)),
            _ => None,
        }
    }

    /// The database, waited for while it is opened anew.
    pub(super) fn wait(&self) -> Result<Arc<Database>, Error> {
        let opening = |opened: &mut Opened| matches!(opened, Opened::Reopening(_));
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, opening);
        let (opened, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Opened::Open(database) => Ok(Arc::clone(database)),
            Opened::Reopening(why) | Opened::Away(why) => Err(Error::Unavailable(why.clone())),
            Opened::Closed => Err(Error::Closed),
        }
    }

    /// Changes what readers find; answers the database that they found before.
    pub(super) fn set(&self, to: Opened) -> Option<Arc<Database>> {
        let before = std::mem::replace(&mut *self.lock(), to);
        self.changed.notify_all();
        match before {
            Opened::Open(database) => Some(database),
            _ => None,
        }
    }
}
