//! Opaque numbers for what the media plane handles. The control plane chooses them and never reuses one.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A room: the set of participants that can hear each other.
    RoomId, "room-"
);
id!(
    /// One participant of a room, however many transports it has.
    ParticipantId, "participant-"
);
id!(
    /// One ICE and DTLS association (a peer connection): LiveKit clients have one or two.
    TransportId, "transport-"
);
id!(
    /// A published track: one source, all its layers.
    TrackId, "track-"
);
id!(
    /// One track forwarded over one transport.
    SubscriptionId, "subscription-"
);
