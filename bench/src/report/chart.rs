//! A plot as SVG that stands in a page.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Colours that people who see fewer of them tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// One axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) scale: Scale,
}

/// A plot of lines.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// What an axis spans.
#[derive(Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
    scale: Scale,
}

impl Span {
    fn of(values: impl Iterator<Item = f64>, scale: Scale) -> Option<Self> {
        let values: Vec<f64> =
            values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0)).collect();
        let high = values.iter().copied().reduce(f64::max)?;
        let low = values.iter().copied().reduce(f64::min)?;
        Some(match scale {
            Scale::Linear => Self { low: 0.0, high: if high > 0.0 { high * 1.05 } else { 1.0 }, scale },
            Scale::Logarithmic => Self { low, high: high.max(low * 10.0), scale },
        })
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let rough = (self.high - self.low) / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let step =
                    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                (0..=6).map(|index| f64::from(index) * step).filter(|tick| *tick <= self.high).collect()
            }
            Scale::Logarithmic => (-4..=6)
                .map(|power| 10_f64.powi(power))
                .filter(|tick| (self.low..=self.high).contains(tick))
                .collect(),
        }
    }
}

impl Chart {
    /// The SVG, or nothing when there is nothing to plot.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let x = Span::of(points().map(|point| point.0), self.x.scale);
        let y = Span::of(points().map(|point| point.1), self.y.scale);
        let (Some(x), Some(y)) = (x, y) else { return String::new() };
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title, self.title
        );
        self.axes(&mut svg, x, y);
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS.get(index % COLOURS.len()).copied().unwrap_or("#000");
            let at = |(px, py): &(f64, f64)| (horizontal(x.place(*px)), vertical(y.place(*py)));
            let path: Vec<String> =
                points.iter().map(at).map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            if points.len() < 30 {
                for (px, py) in points.iter().map(at) {
                    let _ = write!(svg, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>");
                }
            }
            if self.lines.len() > 1 {
                let row = f64::from(u32::try_from(index).unwrap_or(0)) * 15.0 + TOP + 12.0;
                let _ = write!(
                    svg,
                    "<text x=\"{}\" y=\"{row}\" fill=\"{colour}\">{}</text>",
                    LEFT + 10.0,
                    super::page::escaped(name)
                );
            }
        }
        svg.push_str("</svg></figure>");
        svg
    }

    fn axes(&self, svg: &mut String, x: Span, y: Span) {
        let (floor, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for tick in y.ticks() {
            let at = vertical(y.place(tick));
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                label(tick)
            );
        }
        for tick in x.ticks() {
            let at = horizontal(x.place(tick));
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{floor}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                floor + 16.0,
                label(tick)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text x=\"14\" y=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {})\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 8.0,
            self.x.name,
            f64::midpoint(TOP, floor),
            f64::midpoint(TOP, floor),
            self.y.name
        );
    }
}

fn horizontal(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn vertical(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
}

fn label(value: f64) -> String {
    if value >= 1e6 {
        return format!("{} M", value / 1e6);
    }
    if value >= 1e4 {
        return format!("{} k", value / 1e3);
    }
    format!("{}", (value * 1e4).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_lines_and_an_empty_one_is_nothing() {
        let axis = |scale| Axis { name: "x", scale };
        let mut chart = Chart {
            title: "t",
            x: axis(Scale::Logarithmic),
            y: axis(Scale::Linear),
            lines: vec![("a<b".into(), vec![(0.1, 1.0), (10.0, 2.0)])],
        };

        assert_eq!(chart.svg().matches("<polyline").count(), 1);

        chart.lines.clear();
        assert_eq!(chart.svg(), "");
    }
}
