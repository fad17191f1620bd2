//! A second codec for those who cannot take the first.

use sfu::ids::SubscriptionId;

use super::*;
use crate::negotiate::CodecUnsupported;

/// Ann films in VP9 and has VP8 at hand; Bob does not take VP9, Eve does.
struct Stage {
    world: World,
    ann: SessionId,
    bob: SessionId,
    track: TrackId,
    subscription: SubscriptionId,
}

fn codec(codec: &str, cid: &str) -> proto::SimulcastCodec {
    proto::SimulcastCodec { codec: codec.into(), cid: cid.into(), ..Default::default() }
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        let (ann, bob) = (world.enter("ann"), world.enter("bob"));
        world.enter("eve");
        let camera = proto::AddTrackRequest {
            cid: "main".into(),
            r#type: TrackType::Video as i32,
            source: TrackSource::Camera as i32,
            simulcast_codecs: vec![codec("vp9", "main"), codec("vp8", "")],
            ..Default::default()
        };
        world.ask(ann, Ask::AddTrack(camera));
        let track = *world.room.participants[&world.id("ann")].tracks.last().unwrap();
        world.negotiated(world.id("ann"), track, 1);
        world.room.tracks.get_mut(&track).unwrap().info.mime_type = "video/VP9".into();
        world.forget();
        let subscription = world.room.subscription_index[&(world.id("bob"), track)];
        Self { world, ann, bob, track, subscription }
    }

    fn refuse(&mut self) {
        let why = CodecUnsupported { mime: "video/VP9".into() };
        let change = Change::Refused { subscription: self.subscription, why };
        let (bob, transport) = (self.world.id("bob"), self.world.transport("bob"));
        self.world.room.apply(bob, transport, vec![change], self.world.now);
        self.world.drain();
    }

    /// Ann announces the second codec and offers it.
    fn publish_backup(&mut self) -> TrackId {
        let sid = self.world.room.tracks[&self.track].sid().to_string();
        let more = proto::AddTrackRequest {
            cid: "more".into(),
            sid,
            simulcast_codecs: vec![codec("vp8", "more")],
            ..Default::default()
        };
        self.world.ask(self.ann, Ask::AddTrack(more));
        let backup = *self.world.room.backups.keys().next().unwrap();
        let params = TrackParameters {
            kind: MediaKind::Video,
            mid: Mid::new(b"7").unwrap(),
            encodings: vec![Encoding::default(); 3],
            speech: Speech::Ignored,
        };
        let mime = "video/VP8".to_string();
        let change = Change::Published { track: backup, params, mid: "7".into(), mime, cid: None };
        let (ann, transport) = (self.world.id("ann"), self.world.transport("ann"));
        let published = self.world.room.apply(ann, transport, vec![change], self.world.now);
        assert_eq!(published, vec![self.track], "others see one track");
        self.world.room.announce_published(ann, &published, self.world.now);
        self.world.drain();
        backup
    }

    /// Which codecs Ann was asked for.
    fn asked(&mut self) -> Vec<Vec<String>> {
        self.world.heard_only(self.ann, |say| match say {
            Say::SubscribedQualityUpdate(update) => {
                let enabled =
                    |codec: &proto::SubscribedCodec| codec.qualities.iter().any(|quality| quality.enabled);
                Some(update.subscribed_codecs.into_iter().filter(enabled).map(|codec| codec.codec).collect())
            }
            _ => None,
        })
    }

    /// What Bob was told that he cannot have.
    fn errors(&mut self) -> Vec<i32> {
        self.world.heard_only(self.bob, |say| match say {
            Say::SubscriptionResponse(response) => Some(response.err),
            _ => None,
        })
    }
}

#[test]
fn who_does_not_take_the_first_codec_is_sent_the_second() {
    let mut stage = Stage::new();
    stage.refuse();
    assert_eq!(stage.asked(), [["vp9", "vp8"]]);
    assert!(stage.errors().is_empty());

    let backup = stage.publish_backup();
    stage.world.carry_all();

    let mut carried: Vec<_> = stage
        .world
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::Subscribe { track, .. } => Some(*track),
            _ => None,
        })
        .collect();
    carried.sort_unstable();
    assert_eq!(carried, vec![stage.track, backup], "each gets what they take");
}

#[test]
fn who_takes_neither_codec_is_told() {
    let mut stage = Stage::new();
    stage.refuse();
    stage.publish_backup();
    stage.asked();

    stage.refuse();

    assert_eq!(stage.errors(), vec![proto::SubscriptionError::SeCodecUnsupported as i32]);
    stage.world.pass(Duration::from_secs(4));
    assert_eq!(stage.asked(), [["vp9"]], "nobody needs the second any more");
}

#[test]
fn a_publisher_that_does_not_send_the_second_codec_is_not_waited_for() {
    let mut stage = Stage::new();
    stage.refuse();

    stage.world.pass(Duration::from_secs(5));

    assert_eq!(stage.errors(), vec![proto::SubscriptionError::SeCodecUnsupported as i32]);
}

#[test]
fn a_track_takes_its_second_codec_along() {
    let mut stage = Stage::new();
    stage.refuse();
    let backup = stage.publish_backup();

    stage.world.room.unpublish(stage.track, stage.world.now);
    stage.world.drain();

    assert!(stage.world.room.backups.is_empty());
    let ended = |command: &Command| matches!(command, Command::Unpublish(id) if *id == backup);
    assert!(stage.world.commands.iter().any(ended));
}
