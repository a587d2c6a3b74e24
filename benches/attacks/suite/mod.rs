//! The attacks, and how much work they may be. `cargo bench --bench attacks` and `tests/attacks.rs` run the same.

pub(crate) mod carriers;
mod deblur;
mod faces;
mod hide;
mod learned;
mod matching;
mod moving;
pub(crate) mod report;
mod residue;
mod sides;
mod stats;

use report::Row;

/// How large everything is.
pub(crate) struct Size {
    /// People of whom there is one face.
    pub(crate) people: usize,
    /// Faces of real photographs.
    pub(crate) photographs: usize,
    /// People of whom there is a film, and its frames.
    pub(crate) films: usize,
    pub(crate) frames: usize,
    /// Times that each face is hidden anew.
    pub(crate) repeats: usize,
    /// Times that the attacker hides a face to learn what comes out on average.
    pub(crate) guesses: usize,
    /// Frames that are averaged.
    pub(crate) film: usize,
}

impl Size {
    /// For tests: seconds.
    pub(crate) const SMALL: Self =
        Self { people: 40, photographs: 40, films: 16, frames: 6, repeats: 4, guesses: 8, film: 32 };
}

/// All attacks. The second part says what was left out, and why.
pub(crate) fn run(size: &Size) -> (Vec<Row>, Option<&'static str>) {
    let people = faces::people(size.people);
    let films = faces::films(size.films, size.frames);
    let photographs = faces::photographs(size.photographs);
    let mut rows = matching::run(&people, "people", size);
    rows.extend(photographs.iter().flat_map(|faces| matching::run(faces, "photographs", size)));
    rows.extend(deblur::run(&people, size));
    rows.extend(learned::run(&films, size));
    rows.extend(moving::run(&people, size));
    rows.extend(sides::skin(&people));
    rows.extend(sides::lengths(&people));
    rows.extend(sides::boxes(&films));
    rows.extend(residue::run(size));
    rows.extend(carriers::run());
    let skipped = photographs.is_none().then_some("skipped: photographs, since ../shared/faces-dev is not there");
    (rows, skipped)
}
