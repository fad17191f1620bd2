//! What is measured: values by how often they were seen, what a server's process costs, what a server tells of itself.

mod histogram;
mod process;
mod scrape;

pub(crate) use self::{
    histogram::{Histogram, Spread, to_millis},
    process::{Cost, Process},
    scrape::{Metrics, get},
};
