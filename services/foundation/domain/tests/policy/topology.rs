//! The drawings: one of each model, and remote control with the customer's own gateway.

use tandem_domain::tenant::{compile_document, topology};

use crate::{examples, golden};

#[test]
fn the_three_models_are_drawn_as_reviewed() {
    for name in examples::NAMES {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        let drawn = topology(&config, false).to_string();
        assert!(drawn.lines().all(|line| line.chars().count() <= 100), "it fits a terminal: {drawn}");
        golden::check(&format!("topology-{name}.txt"), &drawn);
    }
}

/// Options 3 and 2, with Tandem's edge where it can stand; under option 1 it is the proxy anyway.
#[test]
fn with_the_edge_in_path_it_is_drawn() {
    for name in ["brandt", "cascade"] {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        golden::check(&format!("topology-{name}-edge.txt"), &topology(&config, true).to_string());
    }
    let albion = compile_document(&examples::tenant("albion")).unwrap().config;
    assert_eq!(topology(&albion, true), topology(&albion, false));
}

/// Only the gateway moves.
#[test]
fn remote_control_with_a_gateway_at_the_premises() {
    let mut document = examples::tenant("cascade");
    document.spec.trunks.remove(1);
    document.spec.sites[0].emergency.as_mut().unwrap().egress.remove(0);
    document.spec.placement.gateway = Some("seattle".into());
    let config = compile_document(&document).unwrap().config;
    golden::check("topology-cascade-own-gateway.txt", &topology(&config, false).to_string());
}

/// The promise of local control: signalling reaches the cloud, audio never.
#[test]
fn local_control_takes_no_audio_to_the_cloud() {
    let config = compile_document(&examples::tenant("albion")).unwrap().config;
    let topology = topology(&config, false);
    assert!(topology.links.iter().any(|l| l.from.1.is_cloud() != l.to.1.is_cloud()));
    assert!(!topology.audio.iter().any(|a| a.from.1.is_cloud() || a.to.1.is_cloud()), "{topology}");
}
