//! The dependency descriptor (RTP Payload Format For AV1, appendix A): which frames and layers a packet belongs to,
//! told in a header extension, for any codec and for payloads nobody can read.
//!
//! Chains are read over: which frames a frame needs is known from its differences, and who forwards knows which of those it
//! has forwarded.

use super::{Layers, bits::BitReader};

/// §A.8.2: template ids have six bits and decode targets five.
const TEMPLATES_MAX: usize = 64;
const TARGETS_MAX: usize = 32;
/// §A.8.2: a descriptor of this length has no extended fields.
const MANDATORY_LEN: usize = 3;
/// §A.8.2: where the frame number stands in a descriptor.
pub const FRAME_NUMBER_AT: usize = 1;

/// What a frame is to a decode target (§A.8.3): a target is the layers one receiver decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// Part of it, but no other frame of it needs this one.
    Discardable,
    /// A receiver can switch to the target here.
    Switch,
    /// Part of it.
    Required,
}

/// The indications of one frame for every decode target: two bits each, the first target lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indications(u64);

impl Indications {
    fn parse(reader: &mut BitReader<'_>, targets: u8) -> Option<Self> {
        let mut all = 0;
        for target in 0..u32::from(targets) {
            all |= u64::from(reader.bits(2)?).checked_shl(target.checked_mul(2)?)?;
        }
        Some(Self(all))
    }

    /// What the frame is to a decode target; not part of one that there is not.
    #[must_use]
    pub fn get(self, target: u8) -> Indication {
        match self.0.checked_shr(u32::from(target).saturating_mul(2)).unwrap_or(0) & 0b11 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }
}

/// Which frames before it a frame needs, by how far back they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// One bit for each distance: the lowest is the frame right before.
    pub near: u64,
    /// Whether there are frames further back than `near` can tell.
    pub far: bool,
}

impl Needs {
    fn add(&mut self, back: u32) {
        match 1_u64.checked_shl(back.saturating_sub(1)) {
            Some(bit) => self.near |= bit,
            None => self.far = true,
        }
    }

    /// §A.8.2 `template_fdiffs`: each is preceded by a one.
    fn of_template(reader: &mut BitReader<'_>) -> Option<Self> {
        let mut needs = Self::default();
        while reader.bit()? {
            needs.add(reader.bits(4)?.saturating_add(1));
        }
        Some(needs)
    }

    /// §A.8.2 `frame_fdiffs`: each is preceded by how many times four bits it has.
    fn of_frame(reader: &mut BitReader<'_>) -> Option<Self> {
        let mut needs = Self::default();
        loop {
            match reader.bits(2)? {
                0 => return Some(needs),
                size => needs.add(reader.bits(size.saturating_mul(4))?.saturating_add(1)),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Template {
    layers: Layers,
    indications: Indications,
    needs: Needs,
}

/// What a key frame says of the frames after it. Descriptors without one mean the last one before them.
#[derive(Clone, PartialEq, Eq)]
pub struct Structure {
    offset: u8,
    targets: u8,
    len: usize,
    templates: [Template; TEMPLATES_MAX],
}

impl std::fmt::Debug for Structure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Structure").field("targets", &self.targets).field("templates", &self.len).finish()
    }
}

impl Structure {
    /// How many decode targets there are: 1 to 32.
    #[must_use]
    pub const fn targets(&self) -> u8 {
        self.targets
    }

    /// The highest layers a decode target needs.
    #[must_use]
    pub fn target_layers(&self, target: u8) -> Layers {
        let part = |template: &&Template| template.indications.get(target) != Indication::NotPresent;
        self.templates.iter().take(self.len).filter(part).fold(Layers::default(), |most, template| Layers {
            spatial: most.spatial.max(template.layers.spatial),
            temporal: most.temporal.max(template.layers.temporal),
        })
    }

    fn template(&self, id: u8) -> Option<&Template> {
        let index = usize::from(id.wrapping_sub(self.offset) & 0x3f);
        self.templates.get(..self.len)?.get(index)
    }

    fn parse(reader: &mut BitReader<'_>) -> Option<Self> {
        let offset = reader.small(6)?;
        let targets = reader.small(5)?.saturating_add(1);
        let mut structure = Self { offset, targets, len: 0, templates: [Template::default(); TEMPLATES_MAX] };
        let highest = structure.read_layers(reader)?;
        for template in structure.templates.iter_mut().take(structure.len) {
            template.indications = Indications::parse(reader, targets)?;
        }
        for template in structure.templates.iter_mut().take(structure.len) {
            template.needs = Needs::of_template(reader)?;
        }
        skip_chains(reader, structure.len, targets)?;
        if reader.bit()? {
            // A width and a height of sixteen bits for every spatial layer.
            for _ in 0..=highest {
                reader.bits(32)?;
            }
        }
        Some(structure)
    }

    /// §A.8.2 `template_layers`: the templates in order of their layers. Tells the highest spatial layer.
    fn read_layers(&mut self, reader: &mut BitReader<'_>) -> Option<u8> {
        let mut layers = Layers::default();
        loop {
            self.templates.get_mut(self.len)?.layers = layers;
            self.len = self.len.saturating_add(1);
            match reader.bits(2)? {
                0 => {}
                1 => layers.temporal = layers.temporal.saturating_add(1),
                2 => layers = Layers { spatial: layers.spatial.saturating_add(1), temporal: 0 },
                _ => return Some(layers.spatial),
            }
        }
    }
}

fn skip_chains(reader: &mut BitReader<'_>, templates: usize, targets: u8) -> Option<()> {
    let chains = reader.below(u32::from(targets).saturating_add(1))?;
    if chains == 0 {
        return Some(());
    }
    for _ in 0..targets {
        reader.below(chains)?;
    }
    for _ in 0..templates {
        for _ in 0..chains {
            reader.bits(4)?;
        }
    }
    Some(())
}

/// What one packet says of its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The first packet of the frame.
    pub starts_frame: bool,
    /// The last packet of the frame.
    pub ends_frame: bool,
    /// One more with every frame; it wraps.
    pub frame: u16,
    /// The structure that holds from this frame on: it comes with key frames.
    pub structure: Option<Box<Structure>>,
    /// The decode targets that are still being sent, a bit each, when that changes.
    pub active_targets: Option<u32>,
    template: u8,
    /// The frame's own, where its template's do not fit.
    indications: Option<Indications>,
    needs: Option<Needs>,
}

impl Descriptor {
    /// `known` is the last structure of the stream. `None` when the extension ends inside the descriptor. What only
    /// a structure explains stays away while none is known.
    #[must_use]
    pub fn parse(value: &[u8], known: Option<&Structure>) -> Option<Self> {
        let mut reader = BitReader::new(value);
        let mut descriptor = Self {
            starts_frame: reader.bit()?,
            ends_frame: reader.bit()?,
            template: reader.small(6)?,
            frame: u16::try_from(reader.bits(16)?).ok()?,
            structure: None,
            active_targets: None,
            indications: None,
            needs: None,
        };
        if value.len() > MANDATORY_LEN {
            descriptor.extend(&mut reader, known)?;
        }
        Some(descriptor)
    }

    fn extend(&mut self, reader: &mut BitReader<'_>, known: Option<&Structure>) -> Option<()> {
        let has_structure = reader.bit()?;
        let has_targets = reader.bit()?;
        let has_indications = reader.bit()?;
        let has_needs = reader.bit()?;
        // The frame's own chains come last, and are not read.
        reader.bit()?;
        if has_structure {
            self.structure = Some(Box::new(Structure::parse(reader)?));
        }
        let Some(targets) = self.structure.as_deref().or(known).map(Structure::targets) else {
            return Some(());
        };
        debug_assert!(usize::from(targets) <= TARGETS_MAX);
        if has_targets {
            self.active_targets = Some(reader.bits(u32::from(targets))?);
        }
        if has_indications {
            self.indications = Some(Indications::parse(reader, targets)?);
        }
        if has_needs {
            self.needs = Some(Needs::of_frame(reader)?);
        }
        Some(())
    }

    /// The frame number of a descriptor, whether or not the rest of it can be understood.
    #[must_use]
    pub fn frame_number(value: &[u8]) -> Option<u16> {
        value.get(FRAME_NUMBER_AT..)?.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// A receiver that has seen nothing can start here.
    #[must_use]
    pub const fn starts_keyframe(&self) -> bool {
        self.starts_frame && self.structure.is_some()
    }

    /// The frame's layers; `None` when the structure does not know them.
    #[must_use]
    pub fn layers(&self, known: &Structure) -> Option<Layers> {
        self.template(known).map(|template| template.layers)
    }

    /// What the frame is to all decode targets; `None` when the structure does not know it.
    #[must_use]
    pub fn indications(&self, known: &Structure) -> Option<Indications> {
        Some(self.indications.unwrap_or(self.template(known)?.indications))
    }

    /// Which frames the frame needs; `None` when the structure does not know it.
    #[must_use]
    pub fn needs(&self, known: &Structure) -> Option<Needs> {
        Some(self.needs.unwrap_or(self.template(known)?.needs))
    }

    fn template<'a>(&'a self, known: &'a Structure) -> Option<&'a Template> {
        self.structure.as_deref().unwrap_or(known).template(self.template)
    }

    /// What the frame is to a decode target; `None` when the structure does not know it.
    #[must_use]
    pub fn indication(&self, known: &Structure, target: u8) -> Option<Indication> {
        let structure = self.structure.as_deref().unwrap_or(known);
        if target >= structure.targets {
            return None;
        }
        Some(self.indications(known)?.get(target))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_brings_the_structure_that_explains_the_frames_after_it() {
        let key = Descriptor::parse(&two_temporal_layers(), None).unwrap();
        let structure = key.structure.clone().unwrap();

        assert!(key.starts_keyframe() && key.ends_frame);
        assert_eq!((key.frame, structure.targets()), (0x0102, 2));
        assert_eq!(key.layers(&structure), Some(Layers::default()));
        assert_eq!(key.indication(&structure, 0), Some(Indication::Switch));
        assert_eq!(structure.target_layers(0), Layers { spatial: 0, temporal: 1 });
        assert_eq!(structure.target_layers(1), Layers { spatial: 0, temporal: 0 });

        let upper = Descriptor::parse(&[0xc0 | 7, 0x01, 0x03], Some(&structure)).unwrap();
        assert!(!upper.starts_keyframe());
        assert_eq!(upper.layers(&structure), Some(Layers { spatial: 0, temporal: 1 }));
        assert_eq!(upper.indication(&structure, 0), Some(Indication::Discardable));
        assert_eq!(upper.indication(&structure, 1), Some(Indication::NotPresent));
        assert_eq!(upper.indication(&structure, 2), None, "a target there is not");
        assert_eq!(key.needs(&structure), Some(Needs::default()));
        assert_eq!(upper.needs(&structure), Some(Needs { near: 1, far: false }), "the frame before it");
    }

    #[test]
    fn a_template_there_is_not_has_no_layers() {
        let structure = Descriptor::parse(&two_temporal_layers(), None).unwrap().structure.unwrap();

        for id in (0..64).filter(|id| !(5..8).contains(id)) {
            let descriptor = Descriptor::parse(&[id, 0, 0], Some(&structure)).unwrap();
            assert_eq!(descriptor.layers(&structure), None, "template {id}");
            assert_eq!(descriptor.indication(&structure, 0), None, "template {id}");
        }
    }

    #[test]
    fn a_frame_may_have_its_own_indications_and_targets() {
        let structure = Descriptor::parse(&two_temporal_layers(), None).unwrap().structure.unwrap();
        // Active targets and indications of its own: 01 | 10 01.
        let value = [0x40 | 6, 0, 9, 0b0110_0011, 0b0010_0000];

        let descriptor = Descriptor::parse(&value, Some(&structure)).unwrap();

        assert_eq!(descriptor.active_targets, Some(0b01));
        assert_eq!(descriptor.indication(&structure, 0), Some(Indication::Switch));
        assert_eq!(descriptor.indication(&structure, 1), Some(Indication::Discardable));
        assert!(Descriptor::parse(&value, None).is_some(), "what needs a structure is left out");
    }

    #[test]
    fn a_frame_may_have_its_own_differences() {
        let structure = Descriptor::parse(&two_temporal_layers(), None).unwrap().structure.unwrap();
        // Differences of its own: 1 back (four bits), 17 back (eight bits), 4,096 back (twelve bits), the end.
        let value = [0x40 | 6, 0, 9, 0b0001_0010, 0b0001_0000, 0b1000_0111, 0b1111_1111, 0b1110_0000];

        let descriptor = Descriptor::parse(&value, Some(&structure)).unwrap();

        assert_eq!(descriptor.needs(&structure), Some(Needs { near: 1 << 16 | 1, far: true }));
    }

    #[test]
    fn a_descriptor_that_ends_early_is_refused() {
        let whole = two_temporal_layers();

        for len in (0..whole.len()).filter(|len| *len != MANDATORY_LEN) {
            assert_eq!(Descriptor::parse(&whole[..len], None), None, "length {len}");
        }
    }

    #[test]
    fn templates_without_end_are_refused() {
        let mut value = [0; 64];
        value[..4].copy_from_slice(&[0x80, 0, 0, 0x80]);

        assert_eq!(Descriptor::parse(&value, None), None);
    }

    /// Templates 5, 6 and 7: a key frame, the lower layer, the upper layer; one chain; one picture size.
    fn two_temporal_layers() -> Vec<u8> {
        let mut bits = String::from("11000101 0000000100000010 10000");
        bits += "000101 00001"; // The offset, and one decode target more.
        bits += "00 01 11"; // Layers.
        bits += "1010 1111 0100"; // Indications.
        bits += "0 1 0011 0 1 0000 0"; // Differences.
        bits += "10 0000 0001 0001"; // One chain of at most two; it protects both; its differences.
        bits += "1 0000010011111111 0000001011001111"; // 1280 by 720.
        let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        bits.chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | bit << (7 - at)))
            .collect()
    }
}
