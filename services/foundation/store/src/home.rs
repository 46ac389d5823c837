//! Where a store is, whichever backend keeps it.

use std::fmt;
use std::sync::Arc;

use crate::store::Store;
use crate::types::World;
use crate::{embedded, redis};

/// Where a store is.
#[derive(Clone, Debug)]
pub enum Home {
    /// In this process: one at a time.
    Embedded(embedded::Place),
    /// On Redis: for as many processes as wanted.
    Redis(Box<redis::Settings>),
}

/// Why a store cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded one.
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// The one on Redis.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
}

impl Home {
    /// In memory: for tests and trials.
    pub const MEMORY: Self = Self::Embedded(embedded::Place::Memory);

    /// Where a URL says; see [`redis::settings`].
    ///
    /// # Errors
    /// [`redis::BadUrl`], with the fix.
    pub fn of_url(url: &str) -> Result<Self, redis::BadUrl> {
        redis::Settings::parse(url).map(|settings| Self::Redis(Box::new(settings)))
    }

    /// Whether other processes may have the store open beside this one.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Whether one Redis alone is enough for what must not be lost: a trial, said in so many words.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        matches!(self, Self::Redis(settings) if settings.single)
    }

    /// Opens it to look at it, whatever its configuration can keep: nothing is written by that.
    ///
    /// # Errors
    /// [`OpenError`] of an embedded store.
    pub async fn look(self, world: World) -> Result<Store, OpenError> {
        match self {
            Self::Redis(settings) => Ok(Store::new(Arc::new(redis::Redis::open(*settings, world)))),
            embedded => embedded.open(world).await,
        }
    }

    /// Opens it.
    ///
    /// A Redis that cannot be reached is no error: it is tried on, and what is asked meanwhile is told so. One that
    /// answers and does not fit is.
    ///
    /// # Errors
    /// [`OpenError`]: what is wrong and what to do.
    pub async fn open(self, world: World) -> Result<Store, OpenError> {
        match self {
            Self::Embedded(place) => {
                let opened =
                    tokio::task::spawn_blocking(move || embedded::Embedded::open(place, world)).await;
                let embedded = opened.map_err(|e| embedded::OpenError::Thread(e.to_string()))??;
                Ok(Store::new(Arc::new(embedded)))
            }
            Self::Redis(settings) => {
                let redis = redis::Redis::open(*settings, world);
                match redis.check().await {
                    Ok(()) => {}
                    Err(redis::OpenError::Unreachable(why)) => {
                        tracing::warn!(%why, "the store cannot be reached; trying on: start Redis there, or name another with --store");
                    }
                    Err(other) => return Err(other.into()),
                }
                Ok(Store::new(Arc::new(redis)))
            }
        }
    }
}

/// For people; no password is in it.
impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(place) => write!(f, "{place:?}"),
            Self::Redis(settings) => f.write_str(&settings.words()),
        }
    }
}
