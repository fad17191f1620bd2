//! Makes new inputs out of seeds: the same ones for the same seeds and the same number.

/// As libFuzzer's default.
const INPUT_MAX: usize = 4_096;
/// Changes to one input. Higher: further from what is known. Lower: nearer.
const CHANGES_MAX: u64 = 4;
/// Where counts, lengths and signs turn over.
const EDGES: [u8; 12] = [0x00, 0x01, 0x03, 0x04, 0x0f, 0x10, 0x1f, 0x7f, 0x80, 0xbe, 0xc0, 0xff];

pub struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
    input: Vec<u8>,
}

impl<'a> Mutator<'a> {
    pub fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        Self { state: seed, seeds, input: Vec::new() }
    }

    pub fn next_input(&mut self) -> &[u8] {
        let seed = self.seed();
        self.input.clear();
        self.input.extend_from_slice(seed);
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change();
        }
        self.input.truncate(INPUT_MAX);
        &self.input
    }

    fn change(&mut self) {
        let at = self.place();
        match self.below(10) {
            0 => self.set(at, |byte, random| byte ^ 1 << (random & 7)),
            1 | 2 => {
                self.set(at, |_, random| EDGES.get(usize::from(random) % EDGES.len()).copied().unwrap_or(0))
            }
            3 => self.set(at, |_, random| random),
            4 => self.set(at, |byte, random| byte.wrapping_add(random % 17).wrapping_sub(8)),
            5 => self.input.truncate(at),
            6 => {
                let end = self.end(at);
                self.input.drain(at..end);
            }
            7 => {
                let end = self.end(at);
                let piece = self.input.get(at..end).unwrap_or_default().to_vec();
                let to = self.place();
                self.input.splice(to..to, piece);
            }
            8 => {
                let other = self.seed();
                let from = usize::try_from(self.below(other.len() as u64 + 1)).unwrap_or(0);
                let rest = other.get(from..).unwrap_or_default();
                self.input.splice(at.., rest.iter().copied());
            }
            _ => {
                let byte = self.byte();
                self.input.insert(at, byte);
            }
        }
    }

    fn set(&mut self, at: usize, to: fn(u8, u8) -> u8) {
        let random = self.byte();
        if let Some(byte) = self.input.get_mut(at) {
            *byte = to(*byte, random);
        }
    }

    fn seed(&mut self) -> &'a [u8] {
        let index = usize::try_from(self.below(self.seeds.len() as u64)).unwrap_or(0);
        self.seeds.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    /// From the beginning to the end, both included.
    fn place(&mut self) -> usize {
        usize::try_from(self.below(self.input.len() as u64 + 1)).unwrap_or(0)
    }

    /// Up to sixteen bytes further.
    fn end(&mut self, at: usize) -> usize {
        let len = usize::try_from(self.below(16)).unwrap_or(0);
        at.saturating_add(len).min(self.input.len())
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }

    /// Steele and Vigna's SplitMix64.
    fn below(&mut self, range: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % range.max(1)
    }
}
