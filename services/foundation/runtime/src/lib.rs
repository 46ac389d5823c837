//! Lives and dies: configuration, telemetry, TLS, health, drain, clock.
