//! Writes an RTP header with header extensions (RFC 8285) into the caller's buffer.

use crate::{
    units::{PayloadType, RtpTime, SeqNo, Ssrc},
    wire::{Full, Writer},
};

/// What the fixed header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// See [`super::Header::marker`].
    pub marker: bool,
    /// See [`super::Header::payload_type`].
    pub payload_type: PayloadType,
    /// See [`super::Header::seq`].
    pub seq: SeqNo,
    /// See [`super::Header::timestamp`].
    pub timestamp: RtpTime,
    /// See [`super::Header::ssrc`].
    pub ssrc: Ssrc,
}

/// A header that is being written. The padding bit is left to who seals the packet.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    writer: Writer<'a>,
    form: Form,
    extensions: Begun,
}

/// How header extensions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 8285 §4.2: values of 1 to 16 bytes.
    OneByte,
    /// RFC 8285 §4.3: values of up to 255 bytes, a byte more for each. Readers take it where the description allows mixed forms.
    TwoByte,
}

impl Form {
    /// The most a value can have in the one-byte form.
    pub const ONE_BYTE_MAX: usize = 16;

    const fn profile(self) -> [u8; 2] {
        match self {
            Self::OneByte => [0xbe, 0xde],
            Self::TwoByte => [0x10, 0x00],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

/// RFC 8285 §4.2: the profile and the length in words.
const EXTENSION_HEADER_LEN: usize = 4;
const EXTENSION_LENGTH_AT: usize = super::FIXED_HEADER_LEN + 2;
const EXTENSION_BLOCK_AT: usize = super::FIXED_HEADER_LEN + EXTENSION_HEADER_LEN;

impl<'a> HeaderWriter<'a> {
    /// Begins with the fixed header; extensions will have this form.
    pub fn new(out: &'a mut [u8], fields: &Fields, form: Form) -> Result<Self, Full> {
        let mut writer = Writer::new(out);
        let marker = if fields.marker { super::MARKER } else { 0 };
        writer.u8(super::VERSION)?;
        writer.u8(marker | fields.payload_type.value())?;
        writer.u16(fields.seq.0)?;
        writer.u32(fields.timestamp.0)?;
        writer.u32(fields.ssrc.0)?;
        Ok(Self { writer, form, extensions: Begun::No })
    }

    /// Adds a header extension and tells where its value begins. Identifiers are 1 to 14, and values have 1 to 16 bytes
    /// in the one-byte form, 255 in the other: anything else is [`Full`] and leaves the header as it was.
    pub fn extension(&mut self, id: u8, value: &[u8]) -> Result<usize, Full> {
        if !(1..=14).contains(&id) || value.is_empty() {
            return Err(Full);
        }
        let before = self.writer.len();
        let written = self.element(id, value);
        if written.is_err() {
            self.writer.rewind(before);
        }
        written
    }

    fn element(&mut self, id: u8, value: &[u8]) -> Result<usize, Full> {
        if self.extensions == Begun::No {
            let [first, second] = self.form.profile();
            self.writer.put(&[first, second, 0, 0])?;
        }
        let len = u8::try_from(value.len()).map_err(|_| Full)?;
        match self.form {
            Form::OneByte if value.len() > Form::ONE_BYTE_MAX => return Err(Full),
            Form::OneByte => self.writer.u8(id << 4 | len.saturating_sub(1))?,
            Form::TwoByte => self.writer.put(&[id, len])?,
        }
        let at = self.writer.len();
        self.writer.put(value)?;
        // Room for the alignment, so that `finish` cannot fail.
        if self.writer.len().next_multiple_of(4).saturating_sub(self.writer.len()) > self.writer.room() {
            return Err(Full);
        }
        self.extensions = Begun::Yes;
        Ok(at)
    }

    /// Ends the header: its length, a multiple of four.
    pub fn finish(mut self) -> usize {
        if self.extensions == Begun::Yes {
            // Neither fails: `element` saw to the room.
            let _ = self.writer.align();
            let words = self.writer.len().saturating_sub(EXTENSION_BLOCK_AT) / 4;
            let words = u16::try_from(words).unwrap_or(u16::MAX);
            let first = super::VERSION | super::EXTENSION;
            let _ = self.writer.patch(0, &[first]);
            let _ = self.writer.patch(EXTENSION_LENGTH_AT, &words.to_be_bytes());
        }
        self.writer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Header, *};

    const FIELDS: Fields = Fields {
        marker: true,
        payload_type: PayloadType::new(111).unwrap(),
        seq: SeqNo(0xfffe),
        timestamp: RtpTime(0xdead_beef),
        ssrc: Ssrc(0x0102_0304),
    };

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = [0xff; 64];
        let mut writer = HeaderWriter::new(&mut out, &FIELDS, Form::OneByte).unwrap();

        assert_eq!(writer.extension(3, &[1, 2]), Ok(17));
        assert_eq!(writer.extension(14, &[9; 16]), Ok(20));
        let len = writer.finish();

        let header = Header::parse(&out[..len]).unwrap();
        assert_eq!(len, 36);
        assert_eq!(header.payload_offset, len);
        assert_eq!((header.marker, header.payload_type), (FIELDS.marker, FIELDS.payload_type));
        assert_eq!((header.seq, header.timestamp, header.ssrc), (FIELDS.seq, FIELDS.timestamp, FIELDS.ssrc));
        assert!(header.extensions().eq([(3, &[1, 2][..]), (14, &[9; 16][..])]));
    }

    #[test]
    fn a_long_value_is_written_in_the_two_byte_form() {
        let mut out = [0xff; 128];
        let mut writer = HeaderWriter::new(&mut out, &FIELDS, Form::TwoByte).unwrap();

        writer.extension(3, &[1]).unwrap();
        writer.extension(12, &[7; 60]).unwrap();
        let len = writer.finish();

        let header = Header::parse(&out[..len]).unwrap();
        assert!(header.extensions().eq([(3, &[1][..]), (12, &[7; 60][..])]));
    }

    #[test]
    fn a_header_without_extensions_has_twelve_bytes() {
        let mut out = [0; 12];

        assert_eq!(HeaderWriter::new(&mut out, &FIELDS, Form::OneByte).unwrap().finish(), 12);

        assert_eq!(Header::parse(&out).unwrap().extensions().count(), 0);
    }

    #[test]
    fn what_the_one_byte_form_cannot_carry_is_refused() {
        let mut out = [0; 64];
        let mut writer = HeaderWriter::new(&mut out, &FIELDS, Form::OneByte).unwrap();

        assert_eq!(writer.extension(0, &[1]), Err(Full));
        assert_eq!(writer.extension(15, &[1]), Err(Full));
        assert_eq!(writer.extension(1, &[]), Err(Full));
        assert_eq!(writer.extension(1, &[0; 17]), Err(Full));
        assert_eq!(writer.finish(), 12);
    }

    #[test]
    fn a_buffer_of_any_length_is_filled_only_as_far_as_it_goes() {
        for room in 0..=64 {
            let mut out = vec![0; room];
            let Ok(mut writer) = HeaderWriter::new(&mut out, &FIELDS, Form::OneByte) else {
                assert!(room < 12);
                continue;
            };
            let written = [1, 2, 3].iter().filter(|id| writer.extension(**id, &[7; 3]).is_ok()).count();
            let len = writer.finish();
            assert_eq!(Header::parse(&out[..len]).unwrap().extensions().count(), written, "room {room}");
        }
    }
}
