//! Lines on axes, as SVG. Colours are placeholders that the page's style sheet replaces, for light and for dark; names of
//! lines are the page's, which can wrap them.

use std::ops::Range;

use plotters::prelude::*;

/// Points of the page's coordinates: small, so that text is still readable on a phone.
const SIZE: (u32, u32) = (420, 285);

/// As many lines as there are colours; what is beyond is drawn in the last one.
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(43, 96, 137),
    RGBColor(192, 86, 33),
    RGBColor(47, 133, 90),
    RGBColor(128, 90, 167),
    RGBColor(178, 42, 90),
    RGBColor(133, 100, 4),
    RGBColor(14, 116, 124),
    RGBColor(110, 120, 126),
];
pub(super) const INK: RGBColor = RGBColor(21, 35, 43);
pub(super) const QUIET: RGBColor = RGBColor(79, 97, 107);

/// A line, and how it is drawn.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) colour: usize,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
    /// Marks each point.
    pub(crate) dots: bool,
}

/// What a picture shows.
pub(crate) struct Chart<'a> {
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) lines: &'a [Line],
    /// Between these the picture is shaded: x, lower and upper end.
    pub(crate) band: &'a [(f64, f64, f64)],
    /// What is written at a place of the x axis.
    pub(crate) tick: &'a dyn Fn(f64) -> String,
    /// How many places of the x axis are written at, at most.
    pub(crate) ticks: usize,
    /// What is written at a place of the y axis.
    pub(crate) y_tick: &'a dyn Fn(f64) -> String,
    /// The y axis includes these.
    pub(crate) include: &'a [f64],
}

/// # Errors
/// There is nothing to draw, or the library fails.
pub(crate) fn draw(chart: &Chart<'_>) -> anyhow::Result<String> {
    let all = || chart.lines.iter().flat_map(|line| &line.points).copied();
    let x = around(all().map(|p| p.0), 0.0);
    let band = chart.band.iter().flat_map(|&(_, low, high)| [low, high]);
    let y = around(all().map(|p| p.1).chain(band).chain(chart.include.iter().copied()), 0.06);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut context = ChartBuilder::on(&area)
            .margin_top(10)
            .margin_right(16)
            .x_label_area_size(48)
            .y_label_area_size(60)
            .build_cartesian_2d(x, y)?;
        let label = ("sans-serif", 16).into_font().color(&QUIET);
        context
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(INK.mix(0.14))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.mix(0.4))
            .label_style(label.clone())
            .axis_desc_style(label)
            .x_labels(chart.ticks)
            .y_labels(6)
            .x_label_formatter(&|x| (chart.tick)(*x))
            .y_label_formatter(&|y| (chart.y_tick)(*y))
            .x_desc(chart.x)
            .y_desc(chart.y)
            .draw()?;
        shade(&mut context, chart.band)?;
        for line in chart.lines {
            trace(&mut context, line)?;
        }
        area.present()?;
    }
    Ok(svg)
}

type Context<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn shade(context: &mut Context<'_, '_>, band: &[(f64, f64, f64)]) -> anyhow::Result<()> {
    if band.is_empty() {
        return Ok(());
    }
    let upper = band.iter().map(|&(x, _, high)| (x, high));
    let lower = band.iter().rev().map(|&(x, low, _)| (x, low));
    let colour = COLOURS.first().copied().unwrap_or(INK);
    context.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.mix(0.16))])?;
    Ok(())
}

fn trace(context: &mut Context<'_, '_>, line: &Line) -> anyhow::Result<()> {
    let colour = colour(line.colour);
    let points = line.points.iter().copied().filter(|(x, y)| drawable(*x) && drawable(*y));
    if line.dashed {
        context.draw_series(DashedLineSeries::new(points.clone(), 7, 5, colour.stroke_width(2)))?;
    } else {
        context.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
    }
    if line.dots {
        context.draw_series(points.map(|point| Circle::new(point, 4, colour.filled())))?;
    }
    Ok(())
}

/// Whether a value has a place on an axis: of larger ones the distances are no numbers any more.
fn drawable(value: f64) -> bool {
    value.abs() <= 1e300
}

fn colour(index: usize) -> RGBColor {
    COLOURS.get(index).or(COLOURS.last()).copied().unwrap_or(INK)
}

/// A range that holds all of these, with a share of room at either end; 0 to 1 if there are none.
fn around(values: impl Iterator<Item = f64>, room: f64) -> Range<f64> {
    let ends = values
        .filter(|v| drawable(*v))
        .fold(None, |ends: Option<(f64, f64)>, v| Some(ends.map_or((v, v), |(low, high)| (low.min(v), high.max(v)))));
    let (low, high) = ends.unwrap_or((0.0, 1.0));
    let width = if high > low { high - low } else { low.abs().max(1e-3) };
    let room = if high > low { room * width } else { 0.5 * width };
    low - room..high + room
}

/// A number with as many digits as help.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (0.5, "0.5"), (4.0, "4"), (0.123_456, "0.123"), (1234.5, "1234"), (1e-4, "0.0001")]
        {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn whatever_there_is_is_drawn() {
        for points in [
            vec![],
            vec![(1.0, 1.0)],
            vec![(0.0, f64::NAN), (1.0, 2.0)],
            vec![(0.0, 0.0), (1e9, -1e9)],
            vec![(-1e308, 0.0), (1e308, 1.75e308)],
        ] {
            let lines = [Line { points, dots: true, ..Line::default() }];
            let chart = Chart {
                x: "x",
                y: "y",
                lines: &lines,
                band: &[],
                tick: &short,
                ticks: 5,
                y_tick: &short,
                include: &[],
            };
            assert!(draw(&chart).unwrap().starts_with("<svg"));
        }
    }
}
