//! What the control plane may ask of a worker.
//!
//! Invariant: commands about things that are gone are ignored; a command never fails halfway.

use bytes::Bytes;

use crate::{
    ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId},
    params::{
        Channel, ChannelSetup, Consent, IceCredentials, ReceiveParameters, RemoteParameters, SendParameters,
        TrackParameters, Wish,
    },
    units::Bitrate,
};

/// One request to the worker that owns the room.
#[derive(Clone, Debug)]
pub enum Command {
    /// A room begins. All that follows names things inside a room.
    OpenRoom(RoomId),
    /// A room ends with everything in it.
    CloseRoom(RoomId),
    /// A transport begins to listen for its client's first check.
    OpenTransport {
        /// Its room.
        room: RoomId,
        /// Whose it is.
        participant: ParticipantId,
        /// Its name from here on.
        transport: TransportId,
        /// Our ICE credentials.
        local: IceCredentials,
        /// Who opens the data channels.
        channels: ChannelSetup,
        /// How long silence is borne.
        consent: Consent,
    },
    /// What the client's description says: sent again when it restarts ICE.
    SetRemote(TransportId, RemoteParameters),
    /// ICE begins anew with these credentials of ours (RFC 8445 §9); media goes on over the old path until then.
    RestartIce(TransportId, IceCredentials),
    /// How packets that arrive are to be read from now on.
    SetReceive(TransportId, ReceiveParameters),
    /// A transport ends with its tracks and subscriptions.
    CloseTransport(TransportId),
    /// A track will arrive on a transport; sent again when its parameters change.
    Publish(TransportId, TrackId, TrackParameters),
    /// A track ends with its subscriptions.
    Unpublish(TrackId),
    /// A track is held back from everyone, or released.
    SetDelivery(TrackId, crate::params::Delivery),
    /// A track is to be forwarded on a transport; sent again when its parameters change.
    Subscribe {
        /// Its name from here on.
        subscription: SubscriptionId,
        /// Where it goes.
        transport: TransportId,
        /// What is forwarded.
        track: TrackId,
        /// How it is written.
        send: SendParameters,
        /// What the subscriber wants of it.
        wish: Wish,
    },
    /// The subscriber changes its mind.
    SetWish(SubscriptionId, Wish),
    /// No more than this is sent on a transport, whatever its path carries; `None`: what it carries.
    LimitBandwidth(TransportId, Option<Bitrate>),
    /// A track is forwarded there no more.
    Unsubscribe(SubscriptionId),
    /// A message for a data channel. Kept for a channel that is not open yet, up to a limit.
    Send(TransportId, Channel, Bytes),
    /// Ask the publisher of a track for a key frame.
    RequestKeyframe(TrackId),
}
