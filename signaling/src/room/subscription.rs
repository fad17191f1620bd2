//! A track on its way to somebody, and how much of it they want.
//!
//! Invariant: a wish names a layer that exists.

use sfu::{
    event::StreamState,
    ids::{ParticipantId, SubscriptionId, TrackId, TransportId},
    params::{MediaKind, Wish},
};

use super::track::Track;
use crate::wire::{
    join::AdaptiveStream,
    proto::{TrackSource, UpdateTrackSettings, VideoQuality},
};

/// A track on its way to somebody.
pub(super) struct Subscription {
    pub(super) track: TrackId,
    pub(super) subscriber: ParticipantId,
    pub(super) transport: TransportId,
    pub(super) wish: Wish,
    pub(super) carrier: Carrier,
    pub(super) delivery: Stage,
    /// Whether the path to the subscriber carries it.
    pub(super) state: StreamState,
}

/// Which codec of a track a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The first.
    Main,
    /// The second: the subscriber does not take the first.
    Backup,
}

/// How far a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for an m-section.
    Waiting,
    /// The media plane forwards it.
    Carried,
}

impl Subscription {
    pub(super) fn new(
        subscriber: ParticipantId,
        transport: TransportId,
        track: &Track,
        wish: Wish,
    ) -> (SubscriptionKey, Self) {
        let key = (subscriber, track.id);
        (
            key,
            Self {
                track: track.id,
                subscriber,
                transport,
                wish,
                carrier: Carrier::Main,
                delivery: Stage::Waiting,
                state: StreamState::Active,
            },
        )
    }
}

/// Who receives what: at most one subscription each.
pub(super) type SubscriptionKey = (ParticipantId, TrackId);
/// Finds a subscription by [`SubscriptionKey`].
pub(super) type SubscriptionIndex = std::collections::BTreeMap<SubscriptionKey, SubscriptionId>;

/// A picture may be a tenth smaller than what is asked for.
const TOLERANCE_TENTHS: u64 = 9;
/// What browsers film at.
const PICTURES_PER_SECOND: u32 = 30;

/// What a client's settings mean for a track.
pub(super) fn wish(
    settings: Option<&UpdateTrackSettings>,
    adaptive: AdaptiveStream,
    track: &Track,
    carrier: Carrier,
) -> Wish {
    let layers = track.spatial_layers(carrier);
    let Some(settings) = settings else {
        let quality = match adaptive {
            AdaptiveStream::On => VideoQuality::Low,
            AdaptiveStream::Off => VideoQuality::High,
        };
        return Wish { priority: priority(None, track), ..Wish::up_to(layer(quality, layers)) };
    };
    let quality = VideoQuality::try_from(settings.quality).unwrap_or(VideoQuality::High);
    if settings.disabled || (quality == VideoQuality::Off && track.kind() == MediaKind::Video) {
        return Wish::PAUSED;
    }
    let layer_max = if settings.width > 0 || settings.height > 0 {
        layer_by_size(settings, track, layers)
    } else {
        layer(quality, layers)
    };
    Wish {
        temporal_max: temporal_layer(settings.fps),
        priority: priority(Some(settings), track),
        ..Wish::up_to(layer_max)
    }
}

/// Who is served first when a path does not carry all: what the client says, or screens before cameras.
fn priority(settings: Option<&UpdateTrackSettings>, track: &Track) -> u8 {
    match settings.map_or(0, |settings| settings.priority) {
        0 if track.info.source == TrackSource::ScreenShare as i32 => u8::MAX,
        0 => 1,
        asked => u8::try_from(asked).unwrap_or(u8::MAX),
    }
}

/// The layer of a quality among those there are.
fn layer(quality: VideoQuality, layers: u8) -> u8 {
    let last = layers.saturating_sub(1);
    match quality {
        VideoQuality::Low | VideoQuality::Off => 0,
        VideoQuality::Medium => 1.min(last),
        VideoQuality::High => last,
    }
}

/// The lowest temporal layer that is about as smooth as asked for; nothing asked for is all. What a camera films is not told:
/// it is taken for [`PICTURES_PER_SECOND`], and each layer for twice the one below.
fn temporal_layer(fps: u32) -> u8 {
    if fps == 0 {
        return u8::MAX;
    }
    let enough = |layer: &u8| {
        let rate = PICTURES_PER_SECOND >> 2_u8.saturating_sub(*layer);
        u64::from(rate).saturating_mul(10) >= u64::from(fps).saturating_mul(TOLERANCE_TENTHS)
    };
    (0..=2).find(enough).unwrap_or(u8::MAX)
}

/// The lowest layer that is about as large as asked for.
#[expect(deprecated, reason = "the layers of the first codec, for every client")]
fn layer_by_size(settings: &UpdateTrackSettings, track: &Track, layers: u8) -> u8 {
    let last = layers.saturating_sub(1);
    let enough = |size: u32, asked: u32| {
        u64::from(size).saturating_mul(10) >= u64::from(asked).saturating_mul(TOLERANCE_TENTHS)
    };
    let layers = track.info.layers.iter().take(usize::from(layers));
    let found = layers
        .enumerate()
        .find(|(_, layer)| enough(layer.width, settings.width) && enough(layer.height, settings.height));
    found.and_then(|(index, _)| u8::try_from(index).ok()).unwrap_or(last).min(last)
}

#[cfg(test)]
mod tests {
    use sfu::{
        params::{Encoding, Speech, TrackParameters},
        units::Mid,
    };

    use super::*;
    use crate::{
        ids::{Random, Seed},
        wire::proto::{AddTrackRequest, TrackType, VideoLayer},
    };

    #[test]
    fn without_settings_the_best_is_sent_or_the_smallest_when_sizes_follow() {
        let track = camera(3);

        assert_eq!(wish(None, AdaptiveStream::Off, &track, Carrier::Main).layer_max, 2);
        assert_eq!(wish(None, AdaptiveStream::On, &track, Carrier::Main).layer_max, 0);
    }

    #[test]
    fn qualities_fall_on_the_layers_there_are() {
        let asked = |quality: VideoQuality, layers| {
            let settings = UpdateTrackSettings { quality: quality as i32, ..Default::default() };
            wish(Some(&settings), AdaptiveStream::Off, &camera(layers), Carrier::Main).layer_max
        };

        assert_eq!(
            [asked(VideoQuality::Low, 3), asked(VideoQuality::Medium, 3), asked(VideoQuality::High, 3)],
            [0, 1, 2]
        );
        assert_eq!(
            [asked(VideoQuality::Low, 2), asked(VideoQuality::Medium, 2), asked(VideoQuality::High, 2)],
            [0, 1, 1]
        );
        assert_eq!([asked(VideoQuality::Low, 1), asked(VideoQuality::High, 1)], [0, 0]);
    }

    #[test]
    fn a_size_is_met_within_a_tenth() {
        let asked = |width, height| {
            let settings = UpdateTrackSettings { width, height, ..Default::default() };
            wish(Some(&settings), AdaptiveStream::On, &camera(3), Carrier::Main).layer_max
        };

        assert_eq!(asked(320, 180), 0);
        assert_eq!(asked(350, 195), 0, "320 is 91 % of 350");
        assert_eq!(asked(400, 225), 1);
        assert_eq!(asked(4000, 3000), 2, "the best there is");
    }

    #[test]
    fn layers_within_one_encoding_are_layers_too() {
        let mut track = camera(3);
        let params = |encodings| TrackParameters {
            kind: MediaKind::Video,
            mid: Mid::new(b"0").unwrap(),
            encodings: vec![Encoding::default(); encodings],
            speech: Speech::Ignored,
        };
        track.info.codecs.clear();
        track.publish(&params(1), "0".into(), "video/VP9".into(), None);

        let asked = |settings: UpdateTrackSettings| {
            wish(Some(&settings), AdaptiveStream::Off, &track, Carrier::Main).layer_max
        };
        let medium = UpdateTrackSettings { quality: VideoQuality::Medium as i32, ..Default::default() };
        assert_eq!(asked(medium), 1);
        assert_eq!(asked(UpdateTrackSettings { width: 1280, height: 720, ..Default::default() }), 2);

        track.info.codecs.clear();
        track.publish(&params(1), "0".into(), "video/VP8".into(), None);
        assert_eq!(
            wish(None, AdaptiveStream::Off, &track, Carrier::Main).layer_max,
            0,
            "what one encoding of VP8 has not"
        );
    }

    #[test]
    fn a_frame_rate_is_met_within_a_tenth() {
        let asked = |fps| {
            let settings = UpdateTrackSettings { fps, ..Default::default() };
            wish(Some(&settings), AdaptiveStream::Off, &camera(3), Carrier::Main).temporal_max
        };

        assert_eq!([asked(0), asked(5), asked(15), asked(16), asked(24), asked(60)], [255, 0, 1, 1, 2, 255]);
    }

    #[test]
    fn disabled_or_off_is_paused() {
        let disabled = UpdateTrackSettings { disabled: true, ..Default::default() };
        let off = UpdateTrackSettings { quality: VideoQuality::Off as i32, ..Default::default() };

        assert_eq!(wish(Some(&disabled), AdaptiveStream::Off, &camera(3), Carrier::Main), Wish::PAUSED);
        assert_eq!(wish(Some(&off), AdaptiveStream::Off, &camera(3), Carrier::Main), Wish::PAUSED);
    }

    fn camera(encodings: usize) -> Track {
        let size = |index: usize| u32::try_from(320 << index).unwrap();
        let layers = (0..encodings).map(|index| VideoLayer {
            quality: i32::try_from(index).unwrap(),
            width: size(index),
            height: size(index) * 9 / 16,
            ..Default::default()
        });
        let request = AddTrackRequest {
            r#type: TrackType::Video as i32,
            layers: layers.collect(),
            ..Default::default()
        };
        let random = &mut Random::new(Seed([1; 32]));
        let mut track = Track::new(TrackId(1), ParticipantId(1), &request, &[], random);
        let params = TrackParameters {
            kind: MediaKind::Video,
            mid: Mid::new(b"0").unwrap(),
            encodings: vec![Encoding::default(); encodings],
            speech: Speech::Ignored,
        };
        track.publish(&params, "0".into(), "video/VP8".into(), None);
        track
    }
}
