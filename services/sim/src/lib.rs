//! Simulators: peers that play a gateway, CIC and Lync, in their vendors' terms.
