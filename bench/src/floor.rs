//! What this machine cannot go below, measured as the server would spend it: sealing a packet, and handing it to the
//! kernel, alone or as one of several in a message.
//!
//! The far end is a thread that reads sockets which take several datagrams as one, as the clients' do.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::Serialize;
use sfu::{
    io::testing::{Message, Port},
    params::{Secret, SrtpProfile},
    rtp::{Fields, Form, HeaderWriter},
    srtp::{KeyingMaterial, Srtp},
    units::{PayloadType, RtpTime, SeqNo, Ssrc},
};

/// Slices of a measurement; the median counts.
const SLICES: usize = 9;
/// Packets in a slice: some 20 ms of sending.
const PACKETS: u64 = 12_000;
/// Destinations in rotation, as a room has subscribers.
const DESTINATIONS: usize = 50;
const BUFFER: usize = 1 << 22;
/// Header, extensions and tag around a payload.
const AROUND: usize = 40;
/// The longest packet, and the longest message, that are measured.
const PACKET_MAX: usize = 1_400;
const BATCH_MAX: usize = 40;

/// Nanoseconds for one packet of a length in messages of so many.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    pub(crate) seal_ns: f64,
    pub(crate) send_ns: f64,
}

impl Floor {
    pub(crate) fn total(&self) -> f64 {
        self.seal_ns + self.send_ns
    }

    /// Measures it.
    pub(crate) fn measure(bytes: usize, batch: usize) -> io::Result<Self> {
        let bytes = bytes.clamp(60, PACKET_MAX);
        let batch = batch.clamp(1, BATCH_MAX);
        Ok(Self { bytes, batch, seal_ns: sealing(bytes), send_ns: sending(bytes, batch)? })
    }

    /// A video stream alone and in frames, sound alone and in company.
    pub(crate) fn usual() -> io::Result<Vec<Self>> {
        [(1_200, 1), (1_200, 2), (1_200, 5), (1_200, 10), (120, 1), (120, 5)]
            .into_iter()
            .map(|(bytes, batch)| Self::measure(bytes, batch))
            .collect()
    }
}

fn median(mut slices: Vec<f64>) -> f64 {
    slices.sort_unstable_by(f64::total_cmp);
    slices.get(slices.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn per_packet(spent: Duration, packets: u64) -> f64 {
    spent.as_nanos() as f64 / packets.max(1) as f64
}

/// AES-128-GCM from one buffer into another, as the server seals.
fn sealing(bytes: usize) -> f64 {
    let profile = SrtpProfile::AeadAes128Gcm;
    let keying = KeyingMaterial { profile, bytes: Secret(vec![7; KeyingMaterial::len(profile)]) };
    let Ok(mut srtp) = Srtp::client(&keying) else { return 0.0 };
    let payload = vec![7; bytes.saturating_sub(AROUND)];
    let mut out = vec![0; 1 << 18];
    let Some(payload_type) = PayloadType::new(96) else { return 0.0 };
    let mut index = 0_u64;
    let slices = (0..SLICES).map(|_| {
        let start = thread_time();
        for _ in 0..PACKETS {
            let fields = Fields {
                marker: false,
                payload_type,
                seq: SeqNo(u16::try_from(index & 0xffff).unwrap_or(0)),
                timestamp: RtpTime(0),
                ssrc: Ssrc(1),
            };
            let mut header = [0; 12];
            let _ = HeaderWriter::new(&mut header, &fields, Form::OneByte).map(HeaderWriter::finish);
            // As in an arena, each packet goes to memory that was not just written.
            let at = usize::try_from(index % 180).unwrap_or(0) * PACKET_MAX;
            let room = out.get_mut(at..).unwrap_or_default();
            let _ = srtp.outbound.seal_rtp(&header, &payload, 0, index, room);
            index += 1;
        }
        per_packet(thread_time().saturating_sub(start), PACKETS)
    });
    median(slices.collect())
}

/// Messages of `batch` packets to many sockets of this machine.
fn sending(bytes: usize, batch: usize) -> io::Result<f64> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let port = Port::bind(loopback, BUFFER)?;
    let sinks: Vec<Port> =
        (0..DESTINATIONS).map(|_| Port::bind(loopback, BUFFER)).collect::<io::Result<_>>()?;
    let to: Vec<SocketAddr> = sinks.iter().map(Port::local_addr).collect::<io::Result<_>>()?;
    let stop = Arc::new(AtomicBool::new(false));
    let drain = thread::spawn({
        let stop = Arc::clone(&stop);
        move || drain(&sinks, &stop)
    });
    let arena = vec![7_u8; bytes * batch];
    let segment = u16::try_from(bytes).ok().filter(|_| batch > 1);
    let mut destinations = to.iter().cycle();
    let mut slices = Vec::new();
    for _ in 0..=SLICES {
        let (start, mut sent) = (thread_time(), 0_u64);
        while sent < PACKETS {
            let messages: Vec<Message<'_>> = destinations
                .by_ref()
                .take(32)
                .map(|to| Message { to: *to, bytes: &arena, segment })
                .collect();
            let (count, error) = port.send(&messages);
            if let Some(error) = error.filter(|error| error.kind() != io::ErrorKind::WouldBlock) {
                stop.store(true, Ordering::Relaxed);
                drop(drain.join());
                return Err(error);
            }
            sent += (count * batch) as u64;
        }
        slices.push(per_packet(thread_time().saturating_sub(start), sent));
    }
    stop.store(true, Ordering::Relaxed);
    drop(drain.join());
    // The first one warms up.
    slices.remove(0);
    Ok(median(slices))
}

fn drain(sinks: &[Port], stop: &AtomicBool) {
    let Some(mut tray) = sinks.first().map(Port::tray) else { return };
    while !stop.load(Ordering::Relaxed) {
        for sink in sinks {
            sink.receive(&mut tray);
        }
    }
}

/// CPU time of this thread: the first number of its schedstat.
fn thread_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}
