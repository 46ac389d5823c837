//! Where the audio of a call goes: between the callers' own addresses, or through a media server.

use std::sync::Arc;

use bytes::Bytes;

use super::config::{AudioPath, Line, User, Workgroup};
use super::routing::{self, MediaReason};
use super::{Origin, Server};
use crate::element::Element;
use crate::media::{self, Flowing};
use crate::ua::{Audio, Voice, anchor};

/// Two bridged ports of a media server, towards the caller and towards the called.
pub(super) struct Inserted {
    pub(super) near: Voice,
    pub(super) far: Voice,
    /// The rule that selected it.
    pub(super) why: String,
}

impl Inserted {
    pub(super) fn audio(&self) -> Audio {
        Audio::Anchored(self.near.port.clone(), self.far.port.clone())
    }
}

/// The SDP of a media server's port.
pub(super) fn description(voice: &Voice, version: u32) -> Bytes {
    media::write(voice.port.local(), version, Flowing::SendReceive)
}

impl Server {
    /// Why a media server must be in the audio between the two, if it must.
    pub(super) fn media_reason(
        &self,
        user: Option<&User>,
        workgroup: Option<&Workgroup>,
        lines: &[Option<&Line>],
    ) -> Option<MediaReason> {
        let by_user = user.and_then(|user| user.record_calls);
        let by_workgroup = workgroup.and_then(|workgroup| workgroup.record_calls);
        if by_workgroup.or(by_user).unwrap_or(self.config.record_calls) {
            return Some(MediaReason::Recorded);
        }
        let always = lines.iter().flatten().any(|line| line.audio_path == AudioPath::AlwaysIn);
        always.then_some(MediaReason::AlwaysIn)
    }

    /// The location of where a call comes from.
    pub(super) fn location<'a>(&'a self, origin: &Origin<'a>) -> &'a str {
        match origin {
            Origin::Line(line) => self.config.line_location(line),
            Origin::Station(station, _) => self.config.station_location(station),
        }
    }

    /// A media server for a call, as `media_server_selection` has it. Only servers that CIC can reach are selected.
    fn select(&self, device: &str, path: Option<&str>) -> Option<(Arc<Element>, String)> {
        let own = self.ua.address().ip();
        let usable = |server: &super::config::MediaServer| {
            let up = |element: &Arc<Element>| element.behaviour() == crate::behaviour::Behaviour::Normal;
            self.media.get(&server.name).is_some_and(up) && !self.element.world.wan.parts(own, server.address)
        };
        let (server, why) = routing::media_server(&self.config, device, path, usable)?;
        Some((Arc::clone(self.media.get(&server.name)?), why))
    }

    /// A port of a media server that plays something to a caller at `device`.
    pub(super) fn player(&self, device: &str) -> Option<(Voice, String)> {
        let (element, why) = self.select(device, None)?;
        let port = element.open_port().ok()?;
        Some((Voice { element, port }, why))
    }

    /// A second port of the same media server, bridged to the first.
    pub(super) fn beside(&self, near: &Voice) -> Option<Voice> {
        let far = Voice { element: Arc::clone(&near.element), port: near.element.open_port().ok()? };
        crate::media::Port::bridge(&near.port, &far.port);
        Some(far)
    }

    /// Puts a media server between a caller who offered `sdp` and whoever is called. The offer for the called, too.
    /// None: no media server can be had, and the call goes on without, unrecorded.
    pub(super) fn insert(&self, device: &str, path: &str, sdp: &[u8]) -> Option<(Inserted, Bytes)> {
        let (element, why) = self.select(device, Some(path))?;
        let near = Voice { element: Arc::clone(&element), port: element.open_port().ok()? };
        let far = Voice { port: element.open_port().ok()?, element };
        let offer = anchor(&near.port, &far.port, sdp).ok()?;
        Some((Inserted { near, far, why }, offer))
    }
}
