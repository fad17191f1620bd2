//! RTP headers and their extensions, as far as anyone reads them.

use std::hint::black_box;

use sfu::{
    rtp::{AbsSendTime, AudioLevel, Fields, Form, Header, HeaderWriter, transport_sequence},
    units::ShortName,
};

pub fn run(data: &[u8]) {
    let Ok(header) = Header::parse(data) else { return };
    let payload = data.get(header.payload_offset..).expect("a header lies within its packet");
    assert_eq!(header.csrcs().count(), header.csrc_count());
    let unpadded = header.unpadded(payload).unwrap_or(payload);
    assert!(payload.starts_with(unpadded));
    for (id, value) in header.extensions() {
        assert!(id > 0, "zero is padding");
        black_box(AudioLevel::parse(value).map(AudioLevel::to_bytes));
        black_box(AbsSendTime::parse(value).map(AbsSendTime::to_bytes));
        black_box((transport_sequence(value), ShortName::new(value)));
    }
    rewrite(&header, Form::OneByte);
    rewrite(&header, Form::TwoByte);
}

/// What can be written is read back.
fn rewrite(header: &Header<'_>, form: Form) {
    let fields = Fields {
        marker: header.marker,
        payload_type: header.payload_type,
        seq: header.seq,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    let mut out = [0; 256];
    let Ok(mut writer) = HeaderWriter::new(&mut out, &fields, form) else { return };
    let written: Vec<_> =
        header.extensions().filter(|(id, value)| writer.extension(*id, value).is_ok()).collect();
    let len = writer.finish();
    let read = Header::parse(out.get(..len).unwrap_or_default()).expect("what was written is a header");
    assert_eq!(read.payload_offset, len);
    assert_eq!((read.seq, read.timestamp, read.ssrc), (header.seq, header.timestamp, header.ssrc));
    assert!(read.extensions().eq(written));
}
