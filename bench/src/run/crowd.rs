//! All people of a run: who they are, how they come in, what became of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sfu::{dtls::testing::Identity, params::SrtpProfile};
use tokio::{sync::watch, task::JoinSet};

use super::{
    Plan, RunError, janus, livekit,
    person::Person,
    target::{Entrance, Protocol},
};
use crate::{
    client::{Engine, Figures, Notice, Settings},
    measure::Histogram,
    scenario::Layout,
};

/// How long people may take to say good-bye.
const LEAVING: Duration = Duration::from_secs(3);
/// How long those who come first may take before others follow.
const FIRST: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// What became of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Began to come in.
    pub(crate) begun: u64,
    /// Have keys for media, ever and now.
    pub(crate) joined: u64,
    pub(crate) secured: u64,
    /// Saw, or heard, first media.
    pub(crate) served: u64,
    pub(crate) failed: u64,
    pub(crate) left: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) profiles: BTreeMap<String, u64>,
    pub(crate) joining: Histogram,
    pub(crate) first_picture: Histogram,
    pub(crate) first_sound: Histogram,
    /// From the first who began to the last who was secured.
    pub(crate) arrival: Duration,
}

/// All people of a run.
pub(crate) struct Crowd {
    pub(crate) entrance: Entrance,
    pub(crate) identity: Identity,
    engines: Vec<Engine>,
    people: Vec<Person>,
    arrive: f64,
    tally: Mutex<Tally>,
    began: Mutex<Option<Instant>>,
    arrived: AtomicBool,
    stop: watch::Sender<bool>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    /// Names for those who come again.
    next: AtomicU32,
}

impl Crowd {
    pub(crate) fn gather(plan: &Plan, entrance: &Entrance) -> Result<Self, RunError> {
        let mut engines = Vec::new();
        for seed in 0..plan.threads as u64 {
            let engine = Engine::start(Settings { sample: plan.sample, seed: (seed + 1) << 40 });
            engines.push(engine.map_err(|error| RunError::Io("starting clients".into(), error))?);
        }
        let people = people(plan);
        Ok(Self {
            entrance: entrance.clone(),
            identity: Identity::generate(),
            engines,
            next: AtomicU32::new(u32::try_from(people.len()).unwrap_or(u32::MAX)),
            people,
            arrive: plan.scenario.arrive.max(0.1),
            tally: Mutex::default(),
            began: Mutex::default(),
            arrived: AtomicBool::new(false),
            stop: watch::channel(false).0,
            tasks: tokio::sync::Mutex::default(),
        })
    }

    /// Everybody comes in, those who send first.
    pub(crate) async fn arrive(self: Arc<Self>) {
        let begin = Instant::now();
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(begin);
        let mut waited = Duration::ZERO;
        let mut group = None;
        for (index, person) in self.people.iter().enumerate() {
            if group.is_some_and(|group| group != person.group) && index < 100 {
                let since = Instant::now();
                self.wait_for(index as u64).await;
                waited += since.elapsed();
            }
            group = Some(person.group);
            #[expect(clippy::cast_precision_loss, reason = "a few thousand people")]
            let due = begin + waited + Duration::from_secs_f64(index as f64 / self.arrive);
            tokio::time::sleep_until(due.into()).await;
            let (crowd, person) = (Arc::clone(&self), person.clone());
            self.tasks.lock().await.spawn(crowd.visit(person));
        }
        self.arrived.store(true, Ordering::Relaxed);
    }

    async fn wait_for(&self, count: u64) {
        let last = Instant::now() + FIRST;
        while self.with(|tally| tally.secured + tally.failed) < count && Instant::now() < last {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One person, who may leave and come back as another.
    async fn visit(self: Arc<Self>, mut person: Person) {
        loop {
            let stop = self.stop.subscribe();
            self.with(|tally| tally.begun += 1);
            let outcome = match self.entrance.protocol {
                Protocol::LiveKit => livekit::attend(&self, &person, stop).await,
                Protocol::Janus => janus::attend(&self, &person, stop).await,
            };
            if let Err(error) = outcome {
                self.with(|tally| {
                    tally.failed += 1;
                    *tally.errors.entry(error.to_string()).or_default() += 1;
                });
                return;
            }
            if *self.stop.borrow() {
                return;
            }
            person.number = self.next.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what an engine told about somebody.
    pub(crate) fn hear(&self, notice: Notice, person: &Person, heard: &mut Heard) {
        let nanos = |took: Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.with(|tally| match notice {
            Notice::Secured(took, profile) => {
                tally.joining.add(nanos(took));
                tally.joined += 1;
                tally.secured += 1;
                heard.secured = true;
                *tally.profiles.entry(name(profile).to_owned()).or_default() += 1;
                let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
                tally.arrival = began.map_or(Duration::ZERO, |began| began.elapsed());
                if person.expects == Expects::Nothing {
                    tally.served += 1;
                }
            }
            Notice::FirstPicture(took) => {
                tally.first_picture.add(nanos(took));
                tally.served += u64::from(person.expects == Expects::Pictures);
            }
            Notice::FirstSound(took) => {
                tally.first_sound.add(nanos(took));
                tally.served += u64::from(person.expects == Expects::Sound);
            }
            Notice::Lost => heard.lost = true,
        });
    }

    /// Somebody is not in any more.
    pub(crate) fn miss(&self, heard: &Heard) {
        self.with(|tally| {
            tally.left += 1;
            tally.secured = tally.secured.saturating_sub(u64::from(heard.secured));
        });
    }

    pub(crate) fn tally(&self) -> Tally {
        self.with(|tally| tally.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tally) -> T) -> T {
        work(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether everybody is in and got media, or failed.
    pub(crate) fn is_settled(&self) -> bool {
        let all = self.people.len() as u64;
        self.arrived.load(Ordering::Relaxed) && self.with(|tally| tally.served + tally.failed >= all)
    }

    pub(crate) fn engine(&self, number: u32) -> Option<&Engine> {
        self.engines.get(usize::try_from(number).unwrap_or(0) % self.engines.len().max(1))
    }

    pub(crate) fn shown(&self) -> (u64, u64) {
        self.engines.iter().map(Engine::shown).fold((0, 0), |sum, shown| (sum.0 + shown.0, sum.1 + shown.1))
    }

    /// What was counted since the last mark.
    pub(crate) async fn mark(&self) -> Figures {
        let mut all = Figures::default();
        for engine in &self.engines {
            all.merge(&engine.mark().await);
        }
        all
    }

    /// Everybody goes.
    pub(crate) async fn dismiss(&self) {
        let _ = self.stop.send(true);
        let mut tasks = self.tasks.lock().await;
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LEAVING, all).await;
    }
}

/// What was heard of one visit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) secured: bool,
    pub(crate) lost: bool,
}

/// What somebody is to get before they count as served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    Nothing,
    Sound,
    Pictures,
}

impl Expects {
    pub(crate) const fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

const fn name(profile: SrtpProfile) -> &'static str {
    match profile {
        SrtpProfile::AeadAes128Gcm => "AES-128-GCM",
        SrtpProfile::AeadAes256Gcm => "AES-256-GCM",
        SrtpProfile::Aes128CmSha1_80 => "AES-128-CM-SHA1-80",
    }
}

fn people(plan: &Plan) -> Vec<Person> {
    use crate::scenario::Kind;
    let mut people = Vec::new();
    let rooms = plan.scenario.rooms.of(plan.size);
    for (index, group) in plan.scenario.people.iter().enumerate() {
        let devices = plan.scenario.devices(group);
        let others = |kind: Kind| {
            plan.scenario.people.iter().enumerate().any(|(other, from)| {
                let sends = plan.scenario.devices(from).iter().any(|device| device.kind == kind);
                sends && from.count.of(plan.size) > u32::from(other == index)
            })
        };
        let expects = match (group.subscribe, others(Kind::Video), others(Kind::Audio)) {
            (true, true, _) => Expects::Pictures,
            (true, false, true) => Expects::Sound,
            _ => Expects::Nothing,
        };
        for room in 0..rooms {
            for _ in 0..group.count.of(plan.size) {
                people.push(Person {
                    number: u32::try_from(people.len()).unwrap_or(u32::MAX),
                    group: index,
                    room: format!("bench-{room}"),
                    devices: devices.clone(),
                    subscribes: group.subscribe,
                    layout: group.layout.map(|layout| Layout { turn: layout.turn.max(0.5), ..layout }),
                    stay: group.stay.map(|stay| Duration::from_secs_f64(stay.max(0.1))),
                    expects,
                });
            }
        }
    }
    people
}
