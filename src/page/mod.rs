//! What this program's pages have in common: one file that loads nothing and runs nothing, light and dark, readable on a phone.
//!
//! Knows no content; what it is given may be hostile and only ever becomes text, since it comes as markup.

pub(crate) mod figure;
pub(crate) mod plot;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The look of pages with sections, tiles and pictures.
pub(crate) const STYLE: &str = include_str!("style.css");
/// A page may load nothing, and has nothing to run.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A whole page of this title and these style sheets.
pub(crate) fn document(title: &str, styles: &[&str], header: &Markup, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                link rel="icon" href="data:,";
                style { @for style in styles { (PreEscaped(style)) } }
            }
            body {
                header { (header) }
                main { (main) }
                footer { p { "volet " (env!("CARGO_PKG_VERSION")) ". Nothing on this page was loaded from elsewhere." } }
            }
        }
    };
    page.into_string()
}

/// The pictures' placeholders in the page's own colours.
pub(crate) fn recoloured() -> String {
    let hex = |c: &plotters::style::RGBColor| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2);
    let lines = plot::COLOURS.iter().enumerate().map(|(n, c)| (hex(c), format!("--c{n}")));
    let rest = [(&plot::INK, "--ink"), (&plot::QUIET, "--quiet")].map(|(from, to)| (hex(from), to.to_owned()));
    let rule = |(from, to): (String, String)| {
        format!("svg [fill=\"{from}\"]{{fill:var({to})}}svg [stroke=\"{from}\"]{{stroke:var({to})}}")
    };
    lines.chain(rest).map(rule).collect()
}
