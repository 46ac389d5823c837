//! Which trunks lead to a system, and whether its calls may go there now.

use super::super::call::{Call, Entry, Owned};
use super::super::decision::Reason;
use super::super::plan::media;
use super::super::plan::way::Goal;
use super::super::trail::{Rule, Trail, Verdict};
use super::{Next, Trunks};
use crate::document::terms::{MediaLost, Model, TrunkRole};
use crate::number::Number;
use crate::tenant::TrunkIx;

impl<'a> Call<'a> {
    pub(super) fn by_lync_trunk<T: Trail>(
        &self,
        number: Number,
        survivable: bool,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        let trunks = self.trunks(TrunkRole::Lync, trail)?;
        self.joined(trunks.first().copied(), false, trail)?;
        Ok(Next { trunks, number, survivable, to_cic: false })
    }

    /// Whether the two sides of a call can hear one another (domain rules 2.2, rule 6): where one has RTP alone and the
    /// other requires SRTP, CIC's media server must stand between.
    ///
    /// # Errors
    /// That nobody can join them.
    fn joined<T: Trail>(&self, to: Option<TrunkIx>, by_cic: bool, trail: &mut T) -> Result<(), Reason> {
        let Entry::Trunk(_, from) = self.entry else { return Ok(()) };
        let Some(to) = to.map(|ix| self.config.trunk(ix)) else { return Ok(()) };
        // CIC is a party of what it sends, with a media server of its own to join it.
        if !matches!(from.role, TrunkRole::Gateway | TrunkRole::Lync) || !from.srtp.excludes(to.srtp) {
            return Ok(());
        }
        trail.step(Rule::Transcryption, Verdict::Won, || {
            let who = if by_cic { "no media server may be used" } else { "CIC is not in the call" };
            format!(
                "{} has {}, {} has {}, and {who}: nobody can join SRTP and RTP",
                from.name, from.srtp, to.name, to.srtp
            )
            .into()
        });
        Err(Reason::NoTranscryptor)
    }

    /// The trunk at whose end the audio of a call that CIC handles is: Mediation's for a Lync phone, CIC's own for a
    /// CIC phone.
    fn far_end(&self, goal: Goal) -> Option<TrunkIx> {
        let role = match goal {
            Goal::Station(_) | Goal::LyncPhone | Goal::Lync => TrunkRole::Lync,
            Goal::CicPhone => TrunkRole::Cic,
            Goal::Cic | Goal::Pstn => return None,
        };
        self.config.trunks_of(role).next()
    }

    pub(super) fn by_cic_trunk<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        if self.survivable() {
            trail.step(Rule::Survivable, Verdict::Won, || match self.facts.cic_silent_seconds {
                // How long it is that somebody assumes it says nothing of.
                Some(seconds) if !self.facts.wan_lost => {
                    format!("the CIC in the cloud has been silent for {seconds} s: the survivable rules hold")
                        .into()
                }
                _ => "the CIC in the cloud is lost with the WAN: the survivable rules hold".into(),
            });
            return self.survive(number, owned, trail);
        }
        if self.config.model == Model::LocalControl {
            trail.step(Rule::Survivable, Verdict::Lost, || {
                "the CIC in the cloud is not known to be silent".into()
            });
        }
        let media = &self.config.media;
        let server =
            media::media_server(self.config, self.config.places.cic, self.facts.premises_media_server_down);
        if media.recorded && server.is_none() {
            let refused = media.media_server_lost == MediaLost::Refuse;
            trail.step(Rule::MediaAnchor, if refused { Verdict::Won } else { Verdict::Applied }, || {
                let then = media.media_server_lost;
                format!("no media server may record the call, and media may not leave the premises: {then}")
                    .into()
            });
            if refused {
                return Err(Reason::NoMediaServer);
            }
        }
        if server.is_none() {
            self.joined(self.far_end(owned.goal), true, trail)?;
        }
        let trunks = self.trunks(TrunkRole::Cic, trail)?;
        Ok(Next { trunks, number, survivable: false, to_cic: true })
    }

    /// The first trunk of a role and its backups.
    pub(super) fn trunks<T: Trail>(&self, role: TrunkRole, trail: &mut T) -> Result<Trunks, Reason> {
        let Some(first) = self.config.trunks_of(role).next() else {
            trail.step(Rule::Targets, Verdict::Lost, || format!("the tenant has no {role} trunk").into());
            return Err(Reason::NoTrunk);
        };
        let mut trunks = Trunks::from_slice(&[first]);
        self.with_backups(&mut trunks);
        Ok(trunks)
    }

    pub(super) fn with_backups(&self, trunks: &mut Trunks) {
        for at in 0..trunks.len() {
            for backup in &self.config.trunk(trunks[at]).backup {
                if !trunks.contains(backup) {
                    trunks.push(*backup);
                }
            }
        }
    }
}
