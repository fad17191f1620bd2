//! A client's first flight, read before anybody answers it: datagrams, each behind two bytes of length.

use sfu::dtls::Peek;

use super::datagrams;

pub fn run(data: &[u8]) {
    let mut peek = Peek::default();
    for datagram in datagrams(data) {
        match peek.add(datagram) {
            Ok(None) => {}
            Ok(Some(hello)) => {
                assert!(hello.srtp_profiles.len() <= 3, "each profile counts once");
                break;
            }
            Err(_) => break,
        }
    }
    assert!(peek.into_datagrams().len() <= 16, "a stranger is remembered within limits");
}
