//! A picture with its title, its caption and the names of its lines, which wrap as words do.

use maud::{Markup, PreEscaped, html};

use super::plot::{COLOURS, Chart, Line, draw, short};

/// A line's name and how it looks.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) line: Line,
}

/// What most pictures have in common.
pub(crate) struct Look<'a> {
    pub(crate) band: &'a [(f64, f64, f64)],
    pub(crate) tick: &'a dyn Fn(f64) -> String,
    pub(crate) ticks: usize,
    pub(crate) y_tick: &'a dyn Fn(f64) -> String,
    pub(crate) include: &'a [f64],
}

impl Default for Look<'_> {
    fn default() -> Self {
        Self { band: &[], tick: &short, ticks: 7, y_tick: &short, include: &[] }
    }
}

/// The picture as a section of a page.
///
/// # Errors
/// It cannot be drawn.
pub(crate) fn figure(
    title: &str,
    caption: &str,
    (x, y): (&str, &str),
    lines: Vec<Named>,
    look: &Look<'_>,
) -> anyhow::Result<Markup> {
    let (names, lines): (Vec<String>, Vec<Line>) = lines.into_iter().map(|named| (named.name, named.line)).unzip();
    let chart = Chart {
        x,
        y,
        lines: &lines,
        band: look.band,
        tick: look.tick,
        ticks: look.ticks,
        y_tick: look.y_tick,
        include: look.include,
    };
    let svg = draw(&chart)?;
    // Beyond the colours that there are, lines are told apart by the table alone.
    let many = lines.iter().filter(|line| line.colour >= COLOURS.len() - 1).count() > 2;
    let told = names.iter().zip(&lines).filter(|(_, line)| !many || line.colour < COLOURS.len() - 1);
    Ok(html! {
        section {
            h2 { (title) }
            figure {
                figcaption { (caption) }
                div role="img" aria-label={ (title) ". " (caption) } { (PreEscaped(svg)) }
                @if names.len() > 1 || !look.band.is_empty() {
                    ul.legend {
                        @for (name, line) in told { li { i.dashed[line.dashed] style={ "color:var(--c" (line.colour) ")" } {} (name) } }
                        @if many { li { i style="color:var(--c7)" {} "others: see the table" } }
                        @if !look.band.is_empty() { li { i.area {} "p5 to p95" } }
                    }
                }
            }
        }
    })
}
