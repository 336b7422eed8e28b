//! The chart of `docs/benchmarks.md`: four panels, drawn from what the tables hold.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, IntoFont as _, IntoLogRange as _,
    IntoTextStyle as _, LineSeries, PathElement, RGBColor, Rectangle, SVGBackend, SeriesLabelPosition, Text,
    WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::{Panel, Series};
use crate::samples::{thousands, time};

const SIZE: (u32, u32) = (1200, 900);
const INK: RGBColor = RGBColor(31, 35, 40);
const OURS: RGBColor = RGBColor(9, 105, 218);
const SECOND: RGBColor = RGBColor(191, 135, 0);
const PEERS: RGBColor = RGBColor(175, 184, 193);
const FONT: &str = "sans-serif";

/// Where the bars of a panel begin, in its pixels, and the room for the figure behind the longest.
const LABELS: i32 = 270;
const FIGURES: i32 = 90;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(crate) fn draw(path: &Path, series: &[&Series]) {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let panels = root.margin(10, 10, 10, 10).split_evenly((2, 2));
    let of = |panel: Panel| series.iter().copied().filter(move |series| series.panel == panel);
    let kib = |value: f64| thousands(value) + " KiB";
    bars(&panels[0], "One more instance as PID 1: private dirty memory", of(Panel::PrivateDirty), kib);
    bars(&panels[1], "From start to exit, three accounts, tmpfs", of(Panel::ColdStart), time);
    bars(&panels[2], "From the signal to the new record, median", of(Panel::Signal), time);
    growth(&panels[3], &of(Panel::Growth).collect::<Vec<_>>());
    root.present().unwrap();
}

/// A bar for each, on a scale of powers of ten.
fn bars<'a>(
    area: &Area<'_>,
    title: &str,
    series: impl Iterator<Item = &'a Series>,
    figure: impl Fn(f64) -> String,
) {
    let bars: Vec<_> = series.map(|series| (series.name.replace('`', ""), series)).collect();
    let values = || bars.iter().map(|(_, series)| series.points[0].1.log10());
    let floor = values().fold(f64::INFINITY, f64::min).floor();
    let top = values().fold(f64::NEG_INFINITY, f64::max);
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (i32::try_from(width).unwrap(), i32::try_from(height).unwrap());
    write(area, title, (width / 2, 6), 17, HPos::Center, VPos::Top);
    let step = ((height - 60) / i32::try_from(bars.len()).unwrap().max(1)).min(56);
    for (n, (name, series)) in (0..).zip(&bars) {
        let value = series.points[0].1;
        let part = (value.log10() - floor) / (top - floor);
        #[expect(clippy::cast_possible_truncation, reason = "within the panel")]
        let length = (part * f64::from(width - LABELS - FIGURES)) as i32;
        let (above, below) = (36 + n * step, 36 + (n + 1) * step - step / 4);
        let middle = i32::midpoint(above, below);
        let color = if is_ours(series) { OURS } else { PEERS };
        write(area, name, (LABELS - 8, middle), 13, HPos::Right, VPos::Center);
        area.draw(&Rectangle::new([(LABELS, above), (LABELS + length, below)], color.filled())).unwrap();
        write(area, &figure(value), (LABELS + length + 6, middle), 13, HPos::Left, VPos::Center);
    }
    write(area, "bars on a logarithmic scale", (width / 2, height - 6), 11, HPos::Center, VPos::Bottom);
}

fn is_ours(series: &Series) -> bool {
    series.name.contains('`') || series.name.starts_with("idle")
}

/// Seconds over slots, both in powers of ten.
fn growth(area: &Area<'_>, lines: &[&Series]) {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let bounds = |values: &mut dyn Iterator<Item = f64>| -> Range<f64> {
        let values: Vec<_> = values.collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        least * 0.8..most * 1.5
    };
    let (across, up) = (bounds(&mut all().map(|point| point.0)), bounds(&mut all().map(|point| point.1)));
    let mut chart = ChartBuilder::on(area)
        .caption("Start to exit over the number of accounts", (FONT, 17).into_font().color(&INK))
        .margin(6)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(across.log_scale(), up.log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("slots")
        .y_labels(5)
        .x_label_formatter(&|slots| thousands(slots))
        .y_label_formatter(&|seconds| time(*seconds))
        .light_line_style(WHITE)
        .label_style((FONT, 12).into_font().color(&INK))
        .draw()
        .unwrap();
    for (line, color) in lines.iter().zip([OURS, SECOND]) {
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)));
        drawn
            .unwrap()
            .label(line.name.clone())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13).into_font().color(&INK))
        .border_style(PEERS)
        .background_style(WHITE.filled())
        .draw()
        .unwrap();
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, horizontal: HPos, vertical: VPos) {
    let style = (FONT, size).into_text_style(area).color(&INK).pos(Pos::new(horizontal, vertical));
    area.draw(&Text::new(text.to_owned(), at, style)).unwrap();
}
