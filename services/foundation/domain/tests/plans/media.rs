//! Where the audio is fixed (domain rules 2.2, 2.3).

use tandem_domain::document::terms::{MediaLost, Model, SrtpMode, Transport};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::Reason;

use crate::common::{self, OPTIONS, World, by_trunk};

/// Vector 17: TLS without SRTP to a Lync trunk that requires it is a configuration error before any call.
#[test]
fn tls_without_srtp_to_lync_is_a_configuration_error() {
    let mut spec = common::policy();
    spec.trunks[2].transport = tandem_domain::document::terms::Transport::Tls;
    spec.trunks[2].addresses[0].port = Some(5067);
    spec.trunks[1].transport = tandem_domain::document::terms::Transport::Tls;
    let found = tandem_domain::tenant::compile("acme", &spec).unwrap_err();
    assert!(found.iter().any(|f| f.code.contains("srtp") && f.is_error()), "{found:#?}");
}

/// Vector 21: never anchored in the cloud; unrecorded or refused as policy says.
#[test]
fn without_the_premises_media_server_audio_stays_on_the_premises() {
    for inbound in OPTIONS {
        for (lost, may_leave) in
            [(MediaLost::ProceedUnrecorded, false), (MediaLost::Refuse, false), (MediaLost::Refuse, true)]
        {
            let world = World::with(Model::LocalControl, inbound, |spec| {
                spec.media.recorded = true;
                spec.media.media_server_lost = Some(lost);
                spec.media.media_may_leave_premises = Some(may_leave);
                if may_leave {
                    spec.media.selection = None;
                }
            });
            let facts = Facts { premises_media_server_down: true, ..Facts::default() };
            let (plan, _) = world.plan(&by_trunk("gw", "+49305550103"), &facts);
            let at = plan.anchored_at.as_ref().map(|(element, site)| (element.name(), site.as_str()));
            let legs = plan.legs_words();
            match (lost, may_leave) {
                (MediaLost::Refuse, false) => {
                    assert_eq!(plan.rejected.map(|r| r.reason), Some(Reason::NoMediaServer));
                }
                (_, true) => {
                    assert_eq!(
                        (at, plan.media_crossings),
                        (Some(("MS", "cloud")), (0, 2)),
                        "policy's own word"
                    );
                }
                _ => {
                    assert_eq!((at, plan.media_crossings), (Some(("MED", "berlin")), (0, 0)));
                    assert!(!legs.contains('k'), "{legs}");
                    assert!(!plan.features_words().contains("rec"));
                }
            }
        }
    }
}

/// SRTP on one side and RTP on the other bring CIC's media server in, and no two sides that have something in common.
#[test]
fn a_media_server_joins_srtp_and_rtp() {
    use SrtpMode::{NotSupported, Optional, Required};
    for (gateway, cic, lync, called, mixed) in [
        (Required, Required, Required, "+49305550103", false),
        (NotSupported, Required, Required, "+49305550103", true),
        (Required, Required, NotSupported, "+49305550103", true),
        (Optional, NotSupported, Required, "+49305550103", false),
        (Optional, Optional, Required, "+49305550103", false),
        (NotSupported, Required, Required, "+49305550101", true),
        (Required, NotSupported, Required, "+49305550101", true),
        (Required, Required, NotSupported, "+49305550101", false),
        (NotSupported, NotSupported, Required, "+49305550101", false),
    ] {
        let world = World::with(Model::OnPremises, OPTIONS[0], |spec| {
            for (trunk, srtp) in spec.trunks.iter_mut().zip([gateway, cic, lync]) {
                // A line without SRTP may be plain; CIC's line to Mediation is another than its phones' then.
                let plain = srtp == NotSupported;
                trunk.transport = if plain { Transport::Tcp } else { Transport::Tls };
                trunk.srtp = Some(srtp);
            }
        });
        let (plan, _) = world.plan(&by_trunk("gw", called), &Facts::default());
        let at = plan.anchored_at.as_ref().map(|(element, site)| (element.name(), site.as_str()));
        assert_eq!(plan.rejected, None);
        assert_eq!(plan.srtp_mixed, mixed, "{gateway} {cic} {lync} {called}");
        assert_eq!(at == Some(("MS", "berlin")), mixed, "{at:?}");
    }
}
