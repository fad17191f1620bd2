//! A report as a page that needs nothing else.

use std::fmt::Write;

use super::{
    Report,
    book::{Book, figure},
    chart::{Axis, Chart, Scale},
    table,
};

const STYLE: &str = ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;\
    margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .75rem;\
    text-align:right;border-bottom:1px solid #8884}th:first-child,td:first-child{text-align:left}\
    figure{margin:1.5rem 0}figcaption{font-weight:600}svg{max-width:100%;font-size:12px}svg text{fill:currentColor}\
    .grid{stroke:#8883}.limit{color:#d33;font-weight:600}pre{overflow:auto;font-size:13px}";

/// The page.
pub(crate) fn page(book: &Book) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>sabha-bench</title><style>{STYLE}</style><h1>sabha-bench</h1>\
         <p><code>{}</code><br>{}</p>",
        escaped(&book.command),
        escaped(&book.machine)
    );
    comparison(&mut html, book);
    knee(&mut html, book);
    runs(&mut html, book);
    for chart in charts(book) {
        html.push_str(&chart.svg());
    }
    floors(&mut html, book);
    html.push_str("<h2>Every run</h2>");
    for run in &book.runs {
        let _ = write!(
            html,
            "<details><summary>{}</summary><pre>{}</pre></details>",
            name(run),
            escaped(&table(run))
        );
    }
    html.push_str("</html>\n");
    html
}

fn name(run: &Report) -> String {
    escaped(&format!("{} {} on {}", run.scenario, run.size, run.target))
}

fn comparison(html: &mut String, book: &Book) {
    let Some(comparison) = &book.comparison else { return };
    let (first, second) = &comparison.names;
    let _ = write!(
        html,
        "<h2>{0} and {1}, by turns</h2><table><tr><th>median [lowest–highest]<th>{0}<th>{1}<th>ratio",
        escaped(first),
        escaped(second)
    );
    for row in &comparison.rows {
        let show = |(median, low, high)| format!("{} [{}–{}]", figure(median), figure(low), figure(high));
        let (first, second, ratio) = (show(row.first), show(row.second), show(row.ratio));
        let _ = write!(html, "<tr><td>{}<td>{first}<td>{second}<td>{ratio}", row.name);
    }
    html.push_str("</table>");
}

fn knee(html: &mut String, book: &Book) {
    let Some(knee) = &book.knee else { return };
    html.push_str("<h2>The knee</h2><p>");
    if let Some(held) = knee.held {
        let _ = write!(html, "{held} held. ");
    }
    match &knee.broke {
        Some((size, why)) => {
            let _ = write!(html, "{size} did not: {}.", escaped(why));
        }
        None => html.push_str("Nothing broke up to there."),
    }
    html.push_str("</p>");
}

fn runs(html: &mut String, book: &Book) {
    html.push_str(
        "<h2>Runs</h2><table><tr><th>run<th>people<th>packets out /s<th>Mbit/s<th>lost %<th>delay p50 ms<th>p99 ms\
         <th>CPU %<th>ns per packet<th>KiB each<th>join p50 ms<th>clients %",
    );
    for run in &book.runs {
        let server = |of: fn(&super::Server) -> Option<f64>| {
            run.server.as_ref().and_then(of).map_or_else(|| "–".into(), figure)
        };
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{:.0}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            name(run),
            run.people.present,
            run.media.packets_out_per_second,
            figure(run.media.mbit_out_per_second),
            figure(run.media.lost_percent),
            figure(run.delay_ms.p50),
            figure(run.delay_ms.p99),
            server(|server| Some(server.cpu_percent)),
            server(|server| server.ns_per_packet),
            server(|server| Some(server.kib_per_participant)),
            figure(run.join_ms.p50),
            figure(run.generator.busiest_percent),
        );
        for limit in &run.generator.limits {
            let _ = write!(
                html,
                "<tr><td colspan=\"12\" class=\"limit\">not the server's limit: {}",
                escaped(limit)
            );
        }
    }
    html.push_str("</table>");
}

fn floors(html: &mut String, book: &Book) {
    if book.floors.is_empty() {
        return;
    }
    html.push_str(
        "<h2>The machine's floor</h2><table><tr><th>packet<th>in a message<th>seal ns<th>send ns<th>together ns",
    );
    for floor in &book.floors {
        let _ = write!(
            html,
            "<tr><td>{} bytes<td>{}<td>{:.0}<td>{:.0}<td>{:.0}",
            floor.bytes,
            floor.batch,
            floor.seal_ns,
            floor.send_ns,
            floor.total()
        );
    }
    html.push_str("</table>");
}

fn charts(book: &Book) -> Vec<Chart> {
    let delay = book.runs.iter().map(|run| {
        let label = format!("{} {} on {}", run.scenario, run.size, run.target);
        (label, run.delay_ms.curve.clone())
    });
    let by_target = |x: fn(&Report) -> f64, y: fn(&Report) -> Option<f64>| {
        let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for run in &book.runs {
            let Some(value) = y(run) else { continue };
            match lines.iter_mut().find(|(name, _)| *name == run.target) {
                Some((_, points)) => points.push((x(run), value)),
                None => lines.push((run.target.clone(), vec![(x(run), value)])),
            }
        }
        for (_, points) in &mut lines {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        lines
    };
    let linear = |name| Axis { name, scale: Scale::Linear };
    vec![
        Chart {
            title: "Added delay: share of packets up to a delay",
            x: Axis { name: "milliseconds", scale: Scale::Logarithmic },
            y: linear("share of packets"),
            lines: delay.collect(),
        },
        Chart {
            title: "Server CPU by load",
            x: linear("packets a second from the server"),
            y: linear("% of one processor"),
            lines: by_target(
                |run| run.media.packets_out_per_second,
                |run| Some(run.server.as_ref()?.cpu_percent),
            ),
        },
        Chart {
            title: "Cost of a packet by size",
            x: linear("size"),
            y: linear("ns of CPU per forwarded packet"),
            lines: by_target(|run| f64::from(run.size), |run| run.server.as_ref()?.ns_per_packet),
        },
        Chart {
            title: "Added delay by size",
            x: linear("size"),
            y: linear("p99, milliseconds"),
            lines: by_target(|run| f64::from(run.size), |run| Some(run.delay_ms.p99)),
        },
    ]
}

/// For a place in HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
