//! What is sent: packets as encoders make them, in size, shape and number, with a stamp instead of pictures and sound.

mod packet;
mod picture;
mod stamp;

pub(crate) use self::{
    packet::PAYLOAD_MAX,
    picture::{Feed, Frame},
    stamp::Stamp,
};
