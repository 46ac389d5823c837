//! On which backend a test's store is: one suite, and a line for each backend.

use tandem_store::redis::{Settings, Time};
use tandem_store::{Home, OpenError, Store, World};

use super::Server;

/// A backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The embedded one, in memory.
    Embedded,
    /// A redis-server of the test's own.
    Redis,
}

/// A backend with what it needs; ended when dropped.
#[derive(Debug)]
pub struct Backing {
    server: Option<Server>,
}

impl On {
    /// Starts what it needs.
    #[must_use]
    pub fn start(self) -> Backing {
        let server = || Server::start(&["--appendonly", "no"]);
        Backing { server: (self == Self::Redis).then(server) }
    }
}

impl Backing {
    /// Where the store is. On Redis each opening is of the same store, on the clock of who opens it.
    #[must_use]
    pub fn home(&self) -> Home {
        let settings = |server: &Server| Settings {
            single: true,
            time: Time::World,
            ..Settings::alone("127.0.0.1", server.port)
        };
        self.server.as_ref().map_or(Home::MEMORY, |server| Home::Redis(Box::new(settings(server))))
    }

    /// The store, opened once.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, world: World) -> Result<Store, OpenError> {
        self.home().open(world).await
    }

    /// The server, if there is one.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// The store of `first` as another process has it: on Redis by connections of its own.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn again(&self, first: &Store, world: World) -> Result<Store, OpenError> {
        if self.server.is_some() { self.open(world).await } else { Ok(first.clone()) }
    }
}
