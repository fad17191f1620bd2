//! Our own offers.

use sfu::{params::Extension, units::PayloadType};

use super::*;
use crate::sdp::{Direction, Kind, Setup};

#[test]
fn the_first_offer_has_data_channels_and_what_is_subscribed() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Audio, "mic"));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Video, "camera"));
    assert!(connection.needs_negotiation());

    let offer = connection.offer().unwrap();
    assert!(!connection.needs_negotiation());
    let changes = connection.accept_answer(&Client::new().answer(&offer, &[])).unwrap();

    let offer = Description::parse(&offer).unwrap();
    let kinds: Vec<_> = offer.sections.iter().map(|section| section.kind.clone()).collect();
    assert_eq!(kinds, [Kind::Application, Kind::Audio, Kind::Video]);
    assert_eq!(offer.bundle.len(), 3);
    for section in &offer.sections {
        assert_eq!(section.setup, Some(Setup::ActPass));
    }
    assert_eq!(offer.sections[2].direction, Direction::SendOnly);
    assert_eq!(offer.sections[2].msid.clone().unwrap().stream, "PA_x|TR_camera");
    assert!(matches!(changes[..2], [Change::Remote(_), Change::DataChannels]));
    let mids = [(SubscriptionId(1), "1".to_owned()), (SubscriptionId(2), "2".to_owned())];
    assert_eq!(subscribed(&changes), mids);
    let Some(Change::Subscribed { send, .. }) = changes.last() else { panic!() };
    assert_eq!(send.formats[0].to.payload_type, PayloadType::new(96).unwrap());
    assert_eq!(send.extensions.id(Extension::TransportCc), Some(4));
    assert_eq!(offer.sections[2].ssrcs[0].ssrc, send.ssrc);
}

#[test]
fn payload_types_of_an_offer_mean_one_thing_each() {
    let mut connection = connection(Role::Subscriber);
    let mut odd = source(MediaKind::Video, "odd");
    let profiles = ["42001f", "4d001f", "640c1f", "f4001f"];
    for (id, profile) in profiles.iter().enumerate() {
        odd.formats.retain(|format| format.mime == "video/H264");
        odd.formats[0].fmtp = format!("packetization-mode=1;profile-level-id={profile}");
        connection.subscribe(SubscriptionId(id as u64), odd.clone());
    }

    let offer = Description::parse(&connection.offer().unwrap()).unwrap();

    let mut numbers = std::collections::BTreeMap::new();
    for format in offer.sections.iter().flat_map(|section| &section.formats) {
        let meaning = (format.name.clone(), format.fmtp.clone());
        assert_eq!(*numbers.entry(format.payload_type).or_insert(meaning.clone()), meaning);
    }
    for (section, profile) in offer.sections.iter().skip(1).zip(profiles) {
        assert!(section.formats[0].fmtp.contains(profile), "what is sent comes first");
    }
}

#[test]
fn what_the_client_does_not_take_is_refused_and_its_line_recycled() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "vp8"));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Audio, "mic"));
    let offer = connection.offer().unwrap();
    let client = Client::new();

    let all = ["VP8", "VP9", "H264", "H265", "AV1", "rtx"];
    let changes = connection.accept_answer(&client.answer(&offer, &all)).unwrap();

    let why = CodecUnsupported { mime: "video/VP8".to_owned() };
    assert!(changes.contains(&Change::Refused { subscription: SubscriptionId(1), why }));
    assert_eq!(subscribed(&changes).len(), 1);
    assert!(!connection.needs_negotiation());
    connection.subscribe(SubscriptionId(3), source(MediaKind::Audio, "more"));
    let offer = Description::parse(&connection.offer().unwrap()).unwrap();
    assert_eq!(offer.sections.len(), 3, "the place of the rejected line is taken");
    let recycled = &offer.sections[1];
    assert_eq!((&recycled.kind, recycled.mid.unwrap().to_string()), (&Kind::Audio, "3".to_owned()));
}

#[test]
fn a_codec_that_is_lost_among_others_is_refused() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "vp8"));
    let offer = connection.offer().unwrap();

    let changes = connection.accept_answer(&Client::new().answer(&offer, &["VP8"])).unwrap();

    assert!(changes.iter().any(|change| matches!(change, Change::Refused { .. })));
    assert!(connection.needs_negotiation(), "the line has to be told quiet");
    let offer = Description::parse(&connection.offer().unwrap()).unwrap();
    assert_eq!(offer.sections[1].direction, Direction::Inactive);
}

#[test]
fn a_line_is_used_again_after_it_was_quiet() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    negotiate(&mut connection);

    connection.unsubscribe(SubscriptionId(1));
    assert!(connection.needs_negotiation());
    let quiet = negotiate(&mut connection);
    connection.subscribe(SubscriptionId(2), source(MediaKind::Video, "b"));
    let again = negotiate(&mut connection);

    assert_eq!(quiet.0.sections[1].direction, Direction::Inactive);
    assert_eq!(again.0.sections.len(), 2);
    assert_eq!(again.0.sections[1].direction, Direction::SendOnly);
    assert_eq!(subscribed(&again.1), [(SubscriptionId(2), "1".to_owned())]);
}

#[test]
fn a_client_that_cannot_use_a_line_again_gets_one_of_another_name() {
    let policy = Policy { reuse: Reuse::AnotherSection, ..Policy::default() };
    let mut connection = with_policy(Role::Subscriber, policy);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    negotiate(&mut connection);

    connection.unsubscribe(SubscriptionId(1));
    let (gone, _) = negotiate(&mut connection);
    connection.subscribe(SubscriptionId(2), source(MediaKind::Video, "b"));
    let (back, changes) = negotiate(&mut connection);

    assert!(gone.sections[1].is_rejected() && gone.bundle.len() == 1);
    assert_eq!(back.sections.len(), 2);
    assert_eq!(subscribed(&changes), [(SubscriptionId(2), "2".to_owned())]);
}

#[test]
fn what_ends_while_an_offer_is_under_way_is_told_with_the_next() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    let offer = connection.offer().unwrap();
    connection.unsubscribe(SubscriptionId(1));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Video, "b"));

    let changes = connection.accept_answer(&Client::new().answer(&offer, &[])).unwrap();
    let (next, then) = negotiate(&mut connection);

    assert_eq!(subscribed(&changes), []);
    assert_eq!(next.sections[1].direction, Direction::Inactive);
    assert_eq!(subscribed(&then), [(SubscriptionId(2), "2".to_owned())]);
}

#[test]
fn an_answer_changes_nothing_twice() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    negotiate(&mut connection);

    let (_, again) = negotiate(&mut connection);

    assert_eq!(again, []);
}

#[test]
fn ice_begins_anew_with_our_next_offer() {
    let mut connection = connection(Role::Subscriber);
    negotiate(&mut connection);

    connection.restart_ice(ice("again"));
    assert!(connection.needs_negotiation());
    let offer = connection.offer().unwrap();
    let client = Client { ufrag: "another".to_owned(), ..Client::new() };
    let changes = connection.accept_answer(&client.answer(&offer, &[])).unwrap();

    assert_eq!(Description::parse(&offer).unwrap().sections[0].ice.clone().unwrap().ufrag, "again");
    let [Change::Remote(remote)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(remote.ice.ufrag, "another");
}

#[test]
fn without_data_channels_the_first_offer_waits_for_a_subscription() {
    let policy = Policy { data: DataSection::Absent, ..Policy::default() };
    let mut connection = with_policy(Role::Subscriber, policy);
    assert!(!connection.needs_negotiation());

    connection.subscribe(SubscriptionId(1), source(MediaKind::Audio, "mic"));

    assert!(connection.needs_negotiation());
    assert_eq!(Description::parse(&connection.offer().unwrap()).unwrap().sections.len(), 1);
}

#[test]
fn an_answer_that_turns_the_roles_around_is_refused_and_a_good_one_still_taken() {
    let mut connection = connection(Role::Subscriber);
    let offer = connection.offer().unwrap();
    let good = Client::new().answer(&offer, &[]);

    for setup in ["passive", "actpass"] {
        let bad = good.replace("a=setup:active", &format!("a=setup:{setup}"));
        assert!(connection.accept_answer(&bad).is_err());
    }

    assert_eq!(connection.accept_answer(&good).unwrap().len(), 2);
}

/// An offer, the answer of a client that takes everything, and what came of it.
fn negotiate(connection: &mut PeerConnection) -> (Description, Vec<Change>) {
    let offer = connection.offer().unwrap();
    let changes = connection.accept_answer(&Client::new().answer(&offer, &[])).unwrap();
    (Description::parse(&offer).unwrap(), changes)
}
