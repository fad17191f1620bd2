//! A track: as announced by AddTrack, as published, as others see it.
//!
//! Invariant: what a track is announced as never changes its sid; others see it only while it is published.
#![expect(deprecated, reason = "old clients read the old fields")]

use std::collections::BTreeSet;

use sfu::{
    ids::{ParticipantId, SubscriptionId, TrackId},
    params::{MediaKind, Speech, TrackParameters},
};

use super::{backup::Backup, client, dynacast::Demand, subscription::Carrier};
use crate::{
    ids::{Random, sid},
    negotiate::{Dtx, Encryption, Expected, Layer, OpusWishes, Red, Stereo},
    wire::proto::{
        self, AddTrackRequest, AudioTrackFeature, BackupCodecPolicy, TrackInfo, TrackSource, TrackType,
        VideoLayer, VideoQuality, video_layer::Mode,
    },
};

/// Layers of one codec that are looked at.
const LAYERS_MAX: usize = 3;
/// Codecs of one track that are looked at.
const CODECS_MAX: usize = 4;

/// A track.
pub(super) struct Track {
    pub(super) id: TrackId,
    pub(super) owner: ParticipantId,
    pub(super) info: TrackInfo,
    pub(super) cid: String,
    pub(super) carriage: Carriage,
    pub(super) subscribers: BTreeSet<SubscriptionId>,
    /// Whether the publisher knows that somebody receives it.
    pub(super) told_subscribed: bool,
    pub(super) demand: Demand,
    /// Its second codec, once its publisher was asked for it.
    pub(super) backup: Option<Backup>,
    pub(super) backup_demand: Demand,
}

/// Whether a track has an m-section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    /// It was announced.
    Pending,
    /// It has.
    Published {
        /// How many encodings it has.
        encodings: u8,
    },
}

impl Track {
    /// As a client announces it; `publishable` says which video codec stands in for one that is not enabled.
    pub(super) fn new(
        id: TrackId,
        owner: ParticipantId,
        request: &AddTrackRequest,
        publishable: &[proto::Codec],
        random: &mut Random,
    ) -> Self {
        Self {
            id,
            owner,
            info: track_info(request, publishable, random),
            cid: request.cid.clone(),
            carriage: Carriage::Pending,
            subscribers: BTreeSet::new(),
            told_subscribed: false,
            demand: Demand::default(),
            backup: None,
            backup_demand: Demand::silent(),
        }
    }

    pub(super) fn sid(&self) -> &str {
        &self.info.sid
    }

    pub(super) fn is_published(&self) -> bool {
        matches!(self.carriage, Carriage::Published { .. })
    }

    /// How many spatial layers a codec of it has: encodings, or layers within the only one.
    pub(super) fn spatial_layers(&self, carrier: Carrier) -> u8 {
        let carriage = match carrier {
            Carrier::Main => &self.carriage,
            Carrier::Backup => self.backup.as_ref().map_or(&Carriage::Pending, |backup| &backup.carriage),
        };
        match *carriage {
            Carriage::Published { encodings } if encodings > 1 => encodings,
            Carriage::Published { .. } if carrier == Carrier::Main && self.is_scalable() => {
                u8::try_from(self.info.layers.len()).unwrap_or(u8::MAX).max(1)
            }
            Carriage::Published { .. } | Carriage::Pending => 1,
        }
    }

    /// Whether one encoding has several spatial layers.
    fn is_scalable(&self) -> bool {
        let mode = self.info.codecs.first().map(|codec| codec.video_layer_mode);
        mode == Some(Mode::MultipleSpatialLayersPerStream as i32)
    }

    pub(super) fn kind(&self) -> MediaKind {
        if self.info.r#type == TrackType::Video as i32 { MediaKind::Video } else { MediaKind::Audio }
    }

    pub(super) fn stereo(&self) -> Stereo {
        if self.info.stereo { Stereo::Stereo } else { Stereo::Mono }
    }

    pub(super) fn encryption(&self) -> Encryption {
        if self.info.encryption == proto::encryption::Type::None as i32 {
            Encryption::None
        } else {
            Encryption::EndToEnd
        }
    }

    /// What the negotiation is to look out for.
    pub(super) fn expected(&self) -> Expected {
        let mut cids = vec![self.cid.clone()];
        cids.extend(self.info.codecs.iter().map(|codec| codec.cid.clone()).filter(|cid| !cid.is_empty()));
        cids.dedup();
        let speech =
            if self.info.source == TrackSource::Microphone as i32 { Speech::Counts } else { Speech::Ignored };
        let layers = self.info.layers.iter().map(|layer| Layer {
            rid: None,
            quality: u8::try_from(layer.quality).unwrap_or_default().min(2),
        });
        Expected {
            track: self.id,
            cids,
            kind: self.kind(),
            codec: self
                .info
                .codecs
                .first()
                .map(|codec| codec.mime_type.clone())
                .filter(|mime| !mime.is_empty()),
            opus: OpusWishes {
                stereo: self.stereo(),
                dtx: if self.info.disable_dtx { Dtx::Off } else { Dtx::On },
                red: if self.info.disable_red { Red::Off } else { Red::Preferred },
            },
            encryption: self.encryption(),
            speech,
            layers: layers.collect(),
        }
    }

    /// It has an m-section.
    pub(super) fn publish(
        &mut self,
        params: &TrackParameters,
        mid: String,
        mime: String,
        cid: Option<String>,
    ) {
        let encodings = u8::try_from(params.encodings.len()).unwrap_or(u8::MAX).max(1);
        self.carriage = Carriage::Published { encodings };
        self.info.mime_type.clone_from(&mime);
        self.info.mid.clone_from(&mid);
        self.info.simulcast = self.info.simulcast || encodings > 1;
        for (layer, encoding) in self.info.layers.iter_mut().zip(&params.encodings) {
            layer.ssrc = encoding.ssrc.map_or(0, |ssrc| ssrc.0);
        }
        let layers = self.info.layers.clone();
        if self.info.codecs.is_empty() {
            self.info.codecs.push(proto::SimulcastCodecInfo::default());
        }
        let Some(codec) = self.info.codecs.first_mut() else { return };
        codec.mime_type = mime;
        codec.mid = mid;
        codec.sdp_cid = cid.unwrap_or_default();
        codec.layers = layers;
        if codec.cid.is_empty() {
            codec.cid.clone_from(&self.cid);
        }
        if codec.video_layer_mode == Mode::Unused as i32 && self.info.r#type == TrackType::Video as i32 {
            codec.video_layer_mode = layer_mode(&codec.mime_type, encodings) as i32;
        }
    }
}

fn layer_mode(mime: &str, encodings: u8) -> Mode {
    let scalable = mime.eq_ignore_ascii_case("video/VP9") || mime.eq_ignore_ascii_case("video/AV1");
    if scalable && encodings <= 1 {
        Mode::MultipleSpatialLayersPerStream
    } else {
        Mode::OneSpatialLayerPerStream
    }
}

/// `TR_` and two letters that tell type and source.
fn track_sid(request: &AddTrackRequest, random: &mut Random) -> String {
    let kind = if request.r#type == TrackType::Video as i32 { 'V' } else { 'A' };
    let source = match TrackSource::try_from(request.source).unwrap_or_default() {
        TrackSource::Camera => 'C',
        TrackSource::Microphone => 'M',
        TrackSource::ScreenShare => 'S',
        TrackSource::ScreenShareAudio => 's',
        TrackSource::Unknown => 'U',
    };
    sid(&format!("TR_{kind}{source}"), random)
}

fn track_info(request: &AddTrackRequest, publishable: &[proto::Codec], random: &mut Random) -> TrackInfo {
    let video = request.r#type == TrackType::Video as i32;
    let layers = if video { layers(request) } else { Vec::new() };
    let features = audio_features(request);
    let has = |feature: AudioTrackFeature| features.contains(&(feature as i32));
    TrackInfo {
        sid: track_sid(request, random),
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        disable_dtx: has(AudioTrackFeature::TfNoDtx),
        source: request.source,
        codecs: codecs(request, &layers, publishable),
        layers,
        stereo: has(AudioTrackFeature::TfStereo),
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: stream(request),
        audio_features: features,
        backup_codec_policy: match (video, request.backup_codec_policy) {
            (false, 0) => BackupCodecPolicy::Simulcast as i32,
            (_, policy) => policy,
        },
        packet_trailer_features: request.packet_trailer_features.clone(),
        ..Default::default()
    }
}

/// The features named, and those old clients tell by a boolean.
fn audio_features(request: &AddTrackRequest) -> Vec<i32> {
    let mut features: BTreeSet<i32> = request
        .audio_features
        .iter()
        .copied()
        .filter(|feature| AudioTrackFeature::try_from(*feature).is_ok())
        .collect();
    if request.stereo {
        features.insert(AudioTrackFeature::TfStereo as i32);
    }
    if request.disable_dtx {
        features.insert(AudioTrackFeature::TfNoDtx as i32);
    }
    features.into_iter().collect()
}

fn layers(request: &AddTrackRequest) -> Vec<VideoLayer> {
    let mut given = &request.layers;
    if given.is_empty() {
        given = request.simulcast_codecs.first().map_or(given, |codec| &codec.layers);
    }
    let mut layers: Vec<VideoLayer> = given.iter().take(LAYERS_MAX).cloned().collect();
    layers.sort_by_key(|layer| layer.quality);
    if layers.is_empty() {
        let (width, height) = (request.width, request.height);
        layers.push(VideoLayer { quality: VideoQuality::High as i32, width, height, ..Default::default() });
    }
    layers
}

fn codecs(
    request: &AddTrackRequest,
    layers: &[VideoLayer],
    publishable: &[proto::Codec],
) -> Vec<proto::SimulcastCodecInfo> {
    let codecs = request.simulcast_codecs.iter().take(CODECS_MAX);
    let codecs = codecs.map(|wanted| proto::SimulcastCodecInfo {
        mime_type: substitute(&wanted.codec, publishable),
        cid: wanted.cid.clone(),
        layers: if wanted.layers.is_empty() { layers.to_vec() } else { wanted.layers.clone() },
        video_layer_mode: wanted.video_layer_mode,
        ..Default::default()
    });
    codecs.collect()
}

/// The wanted codec when it may be published, else the best of its kind that may.
fn substitute(codec: &str, publishable: &[proto::Codec]) -> String {
    let wanted = client::mime(codec).unwrap_or_default();
    if codec.is_empty() || publishable.iter().any(|known| known.mime == wanted) {
        return wanted.to_string();
    }
    let kind = if wanted.starts_with("audio/") { "audio/" } else { "video/" };
    publishable
        .iter()
        .find(|known| known.mime.starts_with(kind))
        .map(|known| known.mime.clone())
        .unwrap_or_default()
}

/// Which tracks are to be played in step.
fn stream(request: &AddTrackRequest) -> String {
    if !request.stream.is_empty() {
        return request.stream.clone();
    }
    match TrackSource::try_from(request.source).unwrap_or_default() {
        TrackSource::Camera | TrackSource::Microphone => "camera".into(),
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen".into(),
        TrackSource::Unknown => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, ids::Seed, room::client::Client};

    #[test]
    fn a_sid_tells_type_and_source() {
        let track = track(&AddTrackRequest { source: TrackSource::Microphone as i32, ..Default::default() });

        assert!(track.sid().starts_with("TR_AM"));
    }

    #[test]
    fn layers_are_sorted_by_quality() {
        let layer = |quality: VideoQuality| VideoLayer { quality: quality as i32, ..Default::default() };
        let track = track(&AddTrackRequest {
            r#type: TrackType::Video as i32,
            layers: vec![layer(VideoQuality::High), layer(VideoQuality::Low)],
            ..Default::default()
        });

        let qualities: Vec<i32> = track.info.layers.iter().map(|layer| layer.quality).collect();
        assert_eq!(qualities, vec![0, 2]);
        assert!(track.info.simulcast);
    }

    #[test]
    fn old_booleans_are_features_too() {
        let track = track(&AddTrackRequest { stereo: true, disable_dtx: true, ..Default::default() });

        assert_eq!(track.info.audio_features, vec![0, 1]);
        assert_eq!(track.expected().opus.dtx, Dtx::Off);
        assert_eq!(track.expected().opus.stereo, Stereo::Stereo);
    }

    #[test]
    fn a_codec_that_is_not_enabled_is_replaced_by_the_best_that_is() {
        let wanted = |codec: &str| proto::SimulcastCodec {
            codec: codec.into(),
            cid: "c".into(),
            ..Default::default()
        };
        let add = |codec| AddTrackRequest {
            r#type: TrackType::Video as i32,
            simulcast_codecs: vec![wanted(codec)],
            ..Default::default()
        };

        assert_eq!(track(&add("h264")).expected().codec.as_deref(), Some("video/H264"));
        assert_eq!(track(&add("h265")).expected().codec.as_deref(), Some("video/VP8"));
    }

    #[test]
    fn a_microphone_and_a_camera_are_one_stream() {
        let stream = |source: TrackSource| {
            track(&AddTrackRequest { source: source as i32, ..Default::default() }).info.stream
        };

        assert_eq!(stream(TrackSource::Microphone), stream(TrackSource::Camera));
        assert_ne!(stream(TrackSource::Camera), stream(TrackSource::ScreenShare));
    }

    fn track(request: &AddTrackRequest) -> Track {
        let publishable = Client::new(proto::ClientInfo::default()).publishable(&Config::default());
        Track::new(TrackId(1), ParticipantId(1), request, &publishable, &mut Random::new(Seed([3; 32])))
    }
}
