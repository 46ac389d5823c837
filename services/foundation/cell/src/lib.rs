//! Belongs: opens the store, registers this process, writes policy and claims.
