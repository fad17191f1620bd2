//! One person of a run, and what their client sends.

use std::time::Duration;

use sfu::units::{Mid, Rid, Ssrc};

use super::crowd::Expects;
use crate::{
    client::Sending,
    media::Feed,
    scenario::{Device, Kind, Layout},
    signal::{Line, numbers},
};

/// m-sections to receive on that a client has before anybody asks for more, as the SDKs do.
const RECEIVING: usize = 3;

/// One person.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) number: u32,
    pub(crate) group: usize,
    pub(crate) room: String,
    pub(crate) devices: Vec<Device>,
    pub(crate) subscribes: bool,
    pub(crate) layout: Option<Layout>,
    pub(crate) stay: Option<Duration>,
    pub(crate) expects: Expects,
}

impl Person {
    pub(crate) fn identity(&self) -> String {
        format!("p{}", self.number)
    }

    pub(crate) fn cid(&self, device: usize) -> String {
        format!("p{}-{device}", self.number)
    }

    fn ssrc(&self, device: usize, layer: usize) -> Ssrc {
        let place = u32::try_from(device * 8 + layer).unwrap_or(0);
        Ssrc(0x1000_0000 + self.number * 64 + place)
    }

    /// The m-sections it begins with.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let send = |(index, device): (usize, &Device)| Line::Send {
            codec: device.codec,
            kind: device.kind,
            cid: self.cid(index),
            rids: device.layers.iter().filter_map(|layer| layer.rid.clone()).collect(),
            ssrc: self.ssrc(index, 0),
        };
        let sending = self.devices.iter().enumerate().map(send);
        let receiving = if self.subscribes { RECEIVING } else { usize::from(self.devices.is_empty()) };
        let audio = (0..receiving).map(|_| Line::Receive(Kind::Audio));
        let video = (0..receiving).map(|_| Line::Receive(Kind::Video));
        sending.chain(audio).chain(video).collect()
    }

    /// The encodings on them.
    pub(crate) fn sending(&self) -> Vec<Sending> {
        let mut all = Vec::new();
        for (index, device) in self.devices.iter().enumerate() {
            for (layer, encoding) in device.layers.iter().enumerate() {
                let Some(mid) = Mid::new(index.to_string().as_bytes()) else { continue };
                let ssrc = self.ssrc(index, layer);
                all.push(Sending {
                    publisher: self.number,
                    device: u8::try_from(index).unwrap_or(u8::MAX),
                    layer: u8::try_from(layer).unwrap_or(u8::MAX),
                    ssrc,
                    payload_type: numbers::of(device.codec),
                    mid,
                    rid: encoding.rid.as_ref().and_then(|rid| Rid::new(rid.as_bytes())),
                    feed: Feed::new(device, encoding, u64::from(ssrc.0)),
                });
            }
        }
        all
    }
}
