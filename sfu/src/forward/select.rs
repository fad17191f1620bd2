//! Which frames of one encoding go to one subscriber.
//!
//! Invariants:
//! - more is forwarded only from a frame on that needs nothing the subscriber does not have;
//! - all packets of a frame go the same way;
//! - nothing is read but what stays in the clear: descriptors, never pictures.

use super::{
    frame::{Described, Entry, Frame, Table, is_after},
    layers::Target,
};
use crate::codec::{
    Layers,
    dependency::{Indication, Needs},
};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forward,
    Drop,
}

/// What is wanted, and may be had only by a key frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wants {
    #[default]
    Nothing,
    Keyframe,
}

/// What of one encoding goes to one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The highest layers that are forwarded.
    given: Layers,
    /// The decode target that is forwarded, and the table it stands in.
    target: Option<(u8, u8)>,
    history: History,
    wants: Wants,
}

impl Selection {
    /// A key frame begins the encoding: nothing before it counts.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    /// The highest layers that are forwarded.
    pub(crate) fn given(&self) -> Layers {
        self.given
    }

    /// Whether a key frame is needed to come where the goal is; it counts as asked for.
    pub(crate) fn take_wants(&mut self) -> Wants {
        std::mem::take(&mut self.wants)
    }

    /// What becomes of a packet of this frame.
    pub(crate) fn judge(&mut self, frame: &Frame, goal: Target, table: Option<&Table>) -> Verdict {
        match (&frame.described, table) {
            (Some(described), Some(table)) if described.table == table.id => {
                self.judge_described(frame, described, goal, table)
            }
            _ => self.judge_told(frame, goal),
        }
    }

    fn judge_described(
        &mut self,
        frame: &Frame,
        described: &Described,
        goal: Target,
        table: &Table,
    ) -> Verdict {
        match self.history.find(described.number) {
            Past::Forwarded => return Verdict::Forward,
            Past::Dropped => return Verdict::Drop,
            // It comes late: it changes nothing, and goes if the frames around it went.
            Past::Unseen => {}
            Past::Future => self.turn(frame, described, goal, table),
        }
        let verdict = match self.target.filter(|(_, id)| *id == table.id) {
            Some((target, _)) if described.indications.get(target) == Indication::NotPresent => Verdict::Drop,
            // Without a target the key frame is still on its way: what needs it will be of use then.
            Some(_) | None => Verdict::Forward,
        };
        self.history.note(described.number, verdict);
        verdict
    }

    /// Goes over to a better target, if this frame is where one can.
    fn turn(&mut self, frame: &Frame, described: &Described, goal: Target, table: &Table) {
        let Some(aim) = table.aim(goal) else { return };
        let now = self.target.filter(|(_, id)| *id == table.id).map(|(target, _)| target);
        if now == Some(aim) {
            return;
        }
        let goal = Target::of(table.layers(aim));
        let score = |target: u8| -> (u8, bool, i16, i16) {
            let layers = table.layers(target);
            let (spatial, temporal) = (i16::from(layers.spatial), i16::from(layers.temporal));
            let sent = u8::from(table.is_active(target));
            // Of targets above the goal the lowest is the best: it costs the least until the goal can be had.
            if goal.includes(layers) {
                (sent, true, spatial, temporal)
            } else {
                (sent, false, -spatial, -temporal)
            }
        };
        if self.history.has(described.number, described.needs) {
            let can = |target: &u8| {
                let is_switch = described.indications.get(*target) == Indication::Switch;
                // On the way down nothing below the goal is taken: the goal is met later in the same picture.
                let too_low =
                    self.given.spatial > goal.spatial && table.layers(*target).spatial < goal.spatial;
                is_switch && !(too_low && now.is_some())
            };
            let best = table
                .targets()
                .filter(can)
                .chain(now)
                .max_by_key(|target| (score(*target), Some(*target) == now));
            if let Some(best) = best {
                self.target = Some((best, table.id));
                self.given = table.layers(best);
            }
        }
        let reached = self.target.is_some_and(|(_, id)| id == table.id) && self.given.spatial == goal.spatial;
        let passes = frame.layers == Layers { spatial: goal.spatial, temporal: 0 };
        if !reached && (self.given.spatial < goal.spatial || passes) {
            self.wants = Wants::Keyframe;
        }
    }

    fn judge_told(&mut self, frame: &Frame, goal: Target) -> Verdict {
        if frame.entry == Entry::Untold {
            return Verdict::Forward;
        }
        let Layers { spatial, temporal } = frame.layers;
        if frame.place.is_first {
            self.given.temporal = self.given.temporal.min(goal.temporal);
            if spatial == 0 {
                self.given.spatial = self.given.spatial.min(goal.spatial);
            }
            match frame.entry {
                Entry::Spatial => {
                    if spatial == 0 {
                        // Whatever follows needs nothing from before. How high it goes is not told yet.
                        self.given = Layers { spatial: goal.spatial, temporal: goal.temporal };
                    } else if spatial <= goal.spatial && spatial <= self.given.spatial.saturating_add(1) {
                        self.given.spatial = self.given.spatial.max(spatial);
                    }
                }
                Entry::Temporal if temporal <= goal.temporal => {
                    self.given.temporal = self.given.temporal.max(temporal);
                }
                Entry::Temporal | Entry::Nowhere | Entry::Untold => {}
            }
            if spatial > self.given.spatial && spatial <= goal.spatial {
                self.wants = Wants::Keyframe;
            }
        }
        let included = spatial <= self.given.spatial && temporal <= self.given.temporal;
        if included { Verdict::Forward } else { Verdict::Drop }
    }
}

/// What became of the last 128 frames, by their numbers.
#[derive(Debug, Default)]
struct History {
    newest: Option<u16>,
    /// Bit `n` is the frame `n` before the newest.
    seen: u128,
    forwarded: u128,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Forwarded,
    Dropped,
    /// Nothing: none of its packets came.
    Unseen,
    /// It is later than all before.
    Future,
}

impl History {
    fn find(&self, number: u16) -> Past {
        let Some(newest) = self.newest.filter(|newest| !is_after(number, *newest)) else {
            return Past::Future;
        };
        let Some(bit) = 1_u128.checked_shl(u32::from(newest.wrapping_sub(number))) else {
            return Past::Unseen;
        };
        match (self.seen & bit != 0, self.forwarded & bit != 0) {
            (true, true) => Past::Forwarded,
            (true, false) => Past::Dropped,
            (false, _) => Past::Unseen,
        }
    }

    fn note(&mut self, number: u16, verdict: Verdict) {
        let newest = *self.newest.get_or_insert(number);
        if is_after(number, newest) {
            let by = u32::from(number.wrapping_sub(newest));
            self.seen = self.seen.checked_shl(by).unwrap_or(0);
            self.forwarded = self.forwarded.checked_shl(by).unwrap_or(0);
            self.newest = Some(number);
        }
        let newest = self.newest.unwrap_or(number);
        let Some(bit) = 1_u128.checked_shl(u32::from(newest.wrapping_sub(number))) else { return };
        self.seen |= bit;
        if verdict == Verdict::Forward {
            self.forwarded |= bit;
        }
    }

    /// Whether all that a frame needs was forwarded.
    fn has(&self, number: u16, needs: Needs) -> bool {
        if needs == Needs::default() {
            return true;
        }
        let Some(newest) = self.newest.filter(|_| !needs.far) else { return false };
        let ahead = u32::from(number.wrapping_sub(newest));
        // The lowest bit of `near` is the frame before this one.
        let needed = match ahead.checked_sub(1) {
            Some(shift) => {
                let near = u128::from(needs.near);
                let lost = near & !(u128::MAX.checked_shl(shift).unwrap_or(0));
                if lost != 0 {
                    // A frame between the newest and this one: it did not come.
                    return false;
                }
                near.checked_shr(shift).unwrap_or(0)
            }
            None => return false,
        };
        needed & !self.forwarded == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{
        testing::{Mode, Prediction},
        vp8, vp9,
    };

    const L1T3: Mode = Mode { spatial: 1, prediction: Prediction::Full };
    const L3T3: Mode = Mode { spatial: 3, prediction: Prediction::Full };
    const L3T3_KEY: Mode = Mode { spatial: 3, prediction: Prediction::KeyFrames };

    const fn goal(spatial: u8, temporal: u8) -> Target {
        Target { spatial, temporal }
    }

    /// A stream, what is selected of it, and what a decoder makes of that.
    struct Stream {
        mode: Mode,
        table: Option<Table>,
        selection: Selection,
        picture: usize,
        frame: u16,
        wants: usize,
    }

    impl Stream {
        fn new(mode: Mode) -> Self {
            Self { mode, table: None, selection: Selection::default(), picture: 0, frame: 65_500, wants: 0 }
        }

        /// The layers of the next picture that are forwarded.
        fn picture(&mut self, goal: Target) -> Vec<u8> {
            let mut forwarded = Vec::new();
            for layer in 0..self.mode.spatial {
                let value = self.mode.descriptor(self.picture, layer, self.frame);
                let (frame, _) = Table::read(&mut self.table, &value).unwrap();
                if self.selection.judge(&frame, goal, self.table.as_ref()) == Verdict::Forward {
                    forwarded.push(frame.layers.spatial);
                }
                if self.selection.take_wants() == Wants::Keyframe {
                    self.wants += 1;
                }
            }
            self.picture += 1;
            self.frame = self.frame.wrapping_add(u16::try_from(self.mode.spatial).unwrap());
            forwarded
        }

        fn pictures(&mut self, count: usize, goal: Target) -> Vec<Vec<u8>> {
            (0..count).map(|_| self.picture(goal)).collect()
        }

        fn keyframe(&mut self) {
            self.picture = 0;
        }
    }

    #[test]
    fn temporal_layers_above_the_goal_are_left_out() {
        let mut stream = Stream::new(L1T3);

        assert_eq!(stream.pictures(9, goal(0, 0)).concat().len(), 3);
        assert_eq!(stream.wants, 0, "a higher frame rate needs no key frame");
    }

    #[test]
    fn a_higher_frame_rate_begins_where_all_it_needs_was_forwarded() {
        let mut stream = Stream::new(L1T3);
        stream.pictures(6, goal(0, 0));

        // Picture 6 is of the middle layer and needs only picture 4; picture 7 needs picture 6.
        let after = stream.pictures(6, goal(0, 2));

        assert_eq!(after.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1]);
        assert_eq!(stream.wants, 0);
        assert_eq!(stream.pictures(4, goal(0, 1)).concat().len(), 2, "and ends at once");
    }

    #[test]
    fn with_full_prediction_lower_layers_are_forwarded_too_and_a_switch_down_needs_no_key_frame() {
        let mut stream = Stream::new(L3T3);

        assert_eq!(stream.picture(Target::ALL), [0, 1, 2]);
        assert_eq!(stream.pictures(3, Target::ALL), vec![vec![0, 1, 2]; 3]);
        assert_eq!(stream.pictures(4, goal(1, 2)), vec![vec![0, 1]; 4]);
        assert_eq!(stream.pictures(4, goal(0, 2)), vec![vec![0]; 4]);
        assert_eq!(stream.wants, 0);
    }

    #[test]
    fn a_switch_up_waits_for_a_key_frame_and_asks_for_it() {
        let mut stream = Stream::new(L3T3);
        stream.pictures(5, goal(0, 2));

        assert_eq!(stream.pictures(4, Target::ALL), vec![vec![0]; 4]);
        assert!(stream.wants > 0);
        stream.keyframe();

        assert_eq!(stream.pictures(4, Target::ALL), vec![vec![0, 1, 2]; 4]);
    }

    #[test]
    fn with_prediction_at_key_frames_only_one_layer_is_enough() {
        let mut stream = Stream::new(L3T3_KEY);

        assert_eq!(stream.picture(Target::ALL), [0, 1, 2]);
        assert_eq!(stream.pictures(4, Target::ALL), vec![vec![2]; 4]);
        assert_eq!(stream.wants, 0);
    }

    #[test]
    fn one_layer_is_thinned_until_a_key_frame_lets_a_lower_one_begin() {
        let mut stream = Stream::new(L3T3_KEY);
        stream.pictures(8, Target::ALL);

        // Pictures 8 to 11 are of temporal layers 0 2 1 2.
        assert_eq!(stream.pictures(4, goal(0, 2)), [vec![2], vec![], vec![], vec![]]);
        assert!(stream.wants > 0, "a key frame is asked for");
        stream.keyframe();

        assert_eq!(stream.pictures(4, goal(0, 2)), vec![vec![0]; 4]);
    }

    #[test]
    fn a_frame_whose_needs_did_not_come_is_no_place_to_switch() {
        let mut stream = Stream::new(L1T3);
        stream.pictures(4, goal(0, 0));
        // The picture of the lowest layer is lost.
        stream.picture += 1;
        stream.frame = stream.frame.wrapping_add(1);

        assert_eq!(stream.pictures(3, goal(0, 2)), vec![Vec::<u8>::new(); 3]);
        assert_eq!(stream.pictures(4, goal(0, 2)).iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 1, 1]);
    }

    #[test]
    fn a_late_frame_goes_where_those_around_it_went() {
        let mut stream = Stream::new(L3T3);
        stream.pictures(2, goal(0, 2));
        let late: Vec<_> = (0..3).map(|layer| stream.mode.descriptor(2, layer, stream.frame)).collect();
        stream.picture += 1;
        stream.frame = stream.frame.wrapping_add(3);
        stream.picture(goal(0, 2));

        let verdicts: Vec<_> = late
            .iter()
            .map(|value| {
                let (frame, _) = Table::read(&mut stream.table, value).unwrap();
                stream.selection.judge(&frame, goal(0, 2), stream.table.as_ref())
            })
            .collect();

        assert_eq!(verdicts, [Verdict::Forward, Verdict::Drop, Verdict::Drop]);
    }

    #[test]
    fn targets_that_are_no_longer_sent_are_not_aimed_for() {
        let mut stream = Stream::new(L3T3);
        stream.pictures(4, Target::ALL);
        let mut value = stream.mode.descriptor(4, 0, stream.frame);
        // Active targets: the first three, of nine.
        value.extend([0b0100_0000, 0b0001_1100]);
        let (frame, _) = Table::read(&mut stream.table, &value).unwrap();

        let table = stream.table.as_ref().unwrap();
        stream.selection.judge(&frame, Target::ALL, Some(table));

        assert_eq!(table.aim(Target::ALL).map(|target| table.layers(target).spatial), Some(0));
        assert_eq!(stream.selection.given().spatial, 0);
    }

    #[test]
    fn vp8_goes_up_where_it_is_in_step() {
        let frame = |temporal: u8, sync: bool| {
            let layer = temporal << 6 | u8::from(sync) << 5;
            Frame::of_vp8(&vp8::Descriptor::parse(&[0x90, 0xe0, 1, 1, layer, 0x01]).unwrap())
        };
        let key = Frame::of_vp8(&vp8::Descriptor::parse(&[0x90, 0xe0, 1, 1, 0, 0x00]).unwrap());
        let mut selection = Selection::default();
        let mut judge = |frame: Frame, temporal| selection.judge(&frame, goal(0, temporal), None);

        assert_eq!(judge(key, 0), Verdict::Forward);
        assert_eq!(judge(frame(1, true), 0), Verdict::Drop);
        assert_eq!(judge(frame(1, false), 1), Verdict::Drop, "it may need what was left out");
        assert_eq!(judge(frame(1, true), 1), Verdict::Forward);
        assert_eq!(judge(frame(1, false), 1), Verdict::Forward);
        assert_eq!(judge(key, 2), Verdict::Forward);
        assert_eq!(judge(frame(2, false), 2), Verdict::Forward, "after a key frame all can be had");
    }

    #[test]
    fn vp9_goes_up_at_pictures_that_need_none_and_down_at_any() {
        let frame = |inter: bool, spatial: u8| {
            let flags = 0xac | u8::from(inter) << 6;
            let layer = spatial << 1 | u8::from(spatial > 0);
            Frame::of_vp9(&vp9::Descriptor::parse(&[flags, 0x81, 0x02, layer, 0x05, 0x82]).unwrap())
        };
        let mut selection = Selection::default();
        let mut picture = |inter: bool, spatial: u8| -> Vec<u8> {
            let forwarded = (0..3).filter(|layer| {
                selection.judge(&frame(inter, *layer), goal(spatial, 2), None) == Verdict::Forward
            });
            forwarded.collect()
        };

        assert_eq!(picture(false, 1), [0, 1]);
        assert_eq!(picture(true, 1), [0, 1]);
        assert_eq!(picture(true, 2), [0, 1], "no way up");
        assert_eq!(picture(true, 0), [0]);
        assert_eq!(picture(true, 2), [0]);
        assert_eq!(picture(false, 2), [0, 1, 2]);
        assert_eq!(selection.take_wants(), Wants::Keyframe);
    }

    #[test]
    fn what_tells_no_layers_is_forwarded_whole() {
        let mut selection = Selection::default();

        assert_eq!(selection.judge(&Frame::default(), goal(0, 0), None), Verdict::Forward);
    }
}
