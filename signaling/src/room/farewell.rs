//! Why a client is sent away, and what it is to do then.
//!
//! Invariant: reason and action agree; clients too old for an action read the same from `can_reconnect`.

use crate::wire::{
    Say,
    proto::{self, DisconnectReason, leave_request::Action},
};

/// Clients of this protocol and above read `action`.
const ACTION_SINCE: i32 = 13;

/// Why somebody has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Another session has this identity.
    DuplicateIdentity,
    /// An administrator sent them away.
    Removed,
    /// The room was deleted.
    RoomDeleted,
    /// The room's time is over.
    RoomClosed,
    /// The node stops: another one may take over.
    Shutdown,
    /// A test wants the node to say that it stops.
    ServerLeave,
    /// They cannot join, or did not in time.
    JoinFailure,
    /// Their media is lost and did not come back.
    ConnectionTimeout,
    /// Their media is lost: try again with the same session.
    ConnectionLost,
    /// What the client believes is not so: begin anew.
    StateMismatch,
    /// Move: resume elsewhere.
    Migration,
}

impl Farewell {
    /// The reason others are told.
    #[must_use]
    pub fn reason(self) -> DisconnectReason {
        match self {
            Self::DuplicateIdentity => DisconnectReason::DuplicateIdentity,
            Self::Removed => DisconnectReason::ParticipantRemoved,
            Self::RoomDeleted => DisconnectReason::RoomDeleted,
            Self::RoomClosed => DisconnectReason::RoomClosed,
            Self::Shutdown | Self::ServerLeave => DisconnectReason::ServerShutdown,
            Self::JoinFailure => DisconnectReason::JoinFailure,
            Self::ConnectionTimeout | Self::ConnectionLost => DisconnectReason::ConnectionTimeout,
            Self::StateMismatch => DisconnectReason::StateMismatch,
            Self::Migration => DisconnectReason::Migration,
        }
    }

    fn action(self) -> Action {
        match self {
            Self::DuplicateIdentity
            | Self::Removed
            | Self::RoomDeleted
            | Self::RoomClosed
            | Self::ServerLeave
            | Self::JoinFailure
            | Self::ConnectionTimeout => Action::Disconnect,
            Self::ConnectionLost | Self::Migration => Action::Resume,
            Self::StateMismatch | Self::Shutdown => Action::Reconnect,
        }
    }

    /// The message for a client of a protocol version.
    #[must_use]
    pub fn message(self, protocol: i32) -> Say {
        let action = self.action();
        let can_reconnect = protocol < ACTION_SINCE && action != Action::Disconnect;
        Say::Leave(proto::LeaveRequest {
            can_reconnect,
            reason: self.reason() as i32,
            action: action as i32,
            regions: None,
        })
    }
}

/// What a client hears that resumes a session nobody knows.
#[must_use]
pub fn session_unknown(protocol: i32) -> Say {
    Farewell::StateMismatch.message(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_session_begins_anew() {
        let Say::Leave(leave) = session_unknown(16) else { panic!("no leave") };

        assert_eq!(leave.action, Action::Reconnect as i32);
        assert_eq!(leave.reason, DisconnectReason::StateMismatch as i32);
    }

    #[test]
    fn old_clients_read_whether_they_may_come_back() {
        let can_reconnect = |farewell: Farewell, protocol| match farewell.message(protocol) {
            Say::Leave(leave) => leave.can_reconnect,
            _ => false,
        };

        assert!(can_reconnect(Farewell::StateMismatch, 12));
        assert!(!can_reconnect(Farewell::DuplicateIdentity, 12));
    }
}
