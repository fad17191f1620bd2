//! Conversations: who is in a room, what they may do, and the LiveKit protocol they say it in.

pub mod negotiate;
pub mod sdp;
