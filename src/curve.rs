//! A training run's curve as a picture: `curve.csv` in, `curve.svg` out.

use std::path::Path;

use anyhow::Context;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(110, 110, 110),
];

/// Draws every column of quality, and the class loss, over the views seen.
pub(crate) fn draw(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("curve.csv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let svg = picture(&text)?;
    Ok(volet_edge::batch::write_whole(&folder.join("curve.svg"), svg.as_bytes())?)
}

fn picture(text: &str) -> anyhow::Result<String> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().context("an empty curve")?.split(',').collect();
    let rows: Vec<Vec<f32>> = lines.map(|l| l.split(',').map(|v| v.parse().unwrap_or(f32::NAN)).collect()).collect();
    let views = names.iter().position(|n| *n == "views").context("a curve without views")?;
    let drawn =
        names.iter().enumerate().filter(|(_, n)| n.contains("_ap50") || n.contains("_recall") || **n == "class_loss");
    let last = rows.iter().filter_map(|r| r.get(views)).copied().fold(1.0, f32::max);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..last, 0.0f32..1.0)?;
        chart.configure_mesh().x_desc("views").y_desc("loss; quality on held-out synthetic pictures").draw()?;
        for ((column, name), colour) in drawn.zip(COLOURS.iter().cycle()) {
            let points = rows.iter().filter_map(|r| Some((*r.get(views)?, *r.get(column)?)));
            let points = points.filter(|(x, y)| x.is_finite() && y.is_finite());
            let label = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            label.label(*name).legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        let labels = chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw();
        labels?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_with_gaps_is_drawn_and_rubbish_is_refused() {
        let svg = picture("step,views,class_loss,face_ap50\n1,16,0.9,0.1\n2,32,0.5\n3,48,x,0.4\n").unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("face_ap50"), "{svg}");
        assert!(picture("").is_err() && picture("a,b\n1,2\n").is_err());
    }
}
