//! A span that is measured: what was so before it and after it.

use std::{collections::BTreeMap, fs, time::Instant};

use super::{
    crowd::{Crowd, Tally},
    target::Target,
};
use crate::{
    client::Figures,
    measure::{Cost, Metrics, Process},
};

/// One moment.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    pub(crate) at: Instant,
    pub(crate) server: Cost,
    pub(crate) clients: Cost,
    pub(crate) metrics: Metrics,
    /// Datagrams that found a full receive buffer: at our sockets, and anywhere.
    pub(crate) drops: (u64, u64),
    pub(crate) secured: u64,
}

impl Glance {
    pub(crate) async fn take(target: &Target, crowd: &Crowd) -> Self {
        let metrics = target.metrics().await;
        Self {
            at: Instant::now(),
            server: target.cost(),
            clients: Process(std::process::id()).cost(),
            metrics,
            drops: drops(std::process::id()),
            secured: crowd.tally().secured,
        }
    }
}

/// All that a report is made of.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Before anybody came in.
    pub(crate) idle: Cost,
    pub(crate) before: Glance,
    pub(crate) after: Glance,
    pub(crate) figures: Figures,
    pub(crate) tally: Tally,
}

/// `/proc/net/udp` tells drops by socket, `/proc/<pid>/fd` whose socket it is.
fn drops(pid: u32) -> (u64, u64) {
    let mut by_inode = BTreeMap::new();
    for path in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = fs::read_to_string(path).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (inode, drops) = (fields.get(9), fields.last());
            let (Some(inode), Some(Ok(drops))) = (inode, drops.map(|drops| drops.parse::<u64>())) else {
                continue;
            };
            by_inode.insert((*inode).to_owned(), drops);
        }
    }
    let mut ours = 0;
    for fd in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let Ok(link) = fs::read_link(fd.path()) else { continue };
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        ours += inode.and_then(|inode| by_inode.get(inode)).copied().unwrap_or(0);
    }
    (ours, by_inode.values().sum())
}
