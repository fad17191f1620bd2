//! Dependency descriptors, one after the other as a stream has them: each byte of length begins one.

use std::hint::black_box;

use sfu::codec::dependency::{Descriptor, Structure};

pub fn run(data: &[u8]) {
    let mut known: Option<Structure> = None;
    let mut left = data;
    while let Some((len, rest)) = left.split_first() {
        let (value, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        left = rest;
        let Some(descriptor) = Descriptor::parse(value, known.as_ref()) else { continue };
        if let Some(structure) = &descriptor.structure {
            known = Some(structure.as_ref().clone());
        }
        let Some(structure) = &known else { continue };
        assert!((1..=32).contains(&structure.targets()));
        let layers = descriptor.layers(structure);
        assert_eq!(descriptor.needs(structure).is_some(), layers.is_some());
        for target in 0..=u8::MAX {
            let indication = descriptor.indication(structure, target);
            assert_eq!(indication.is_some(), layers.is_some() && target < structure.targets());
            if target < structure.targets() {
                black_box(structure.target_layers(target));
            }
        }
    }
}
