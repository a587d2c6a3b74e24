//! Tables for programs: `rounds.csv`, the same as `rounds.parquet`, and `sites.csv`. Nothing in them depends on the clock
//! or on how often a simulation was interrupted: the same settings give the same bytes.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::numbers::Target;
use super::outcome::{Outcome, Round};
use super::settings::Settings;

/// A value of a table; none where a column does not apply.
enum Cell {
    Whole(i64),
    Real(Option<f64>),
    Word(String),
}

#[derive(Clone, Copy)]
enum Kind {
    Whole,
    Real,
    Word,
}

/// A round of a run, and the run's number.
struct Line<'a> {
    number: usize,
    outcome: &'a Outcome,
    round: &'a Round,
}

type Column = (&'static str, Kind, fn(&Line<'_>) -> Cell);

/// The columns of `rounds.csv`, in their order.
const COLUMNS: [Column; 30] = [
    ("run", Kind::Whole, |l| Cell::Whole(l.number as i64)),
    ("round", Kind::Whole, |l| Cell::Whole(l.round.number.into())),
    ("quality", Kind::Real, |l| Cell::Real(Some(l.round.quality))),
    ("gain", Kind::Real, |l| Cell::Real(Some(l.round.quality - l.outcome.before.value))),
    ("epsilon", Kind::Real, |l| Cell::Real(Some(l.round.epsilon.unwrap_or(f64::INFINITY)))),
    ("participants", Kind::Whole, |l| Cell::Whole(l.round.participants.into())),
    ("sites", Kind::Whole, |l| Cell::Whole(l.settings().sites.get().into())),
    ("asked", Kind::Whole, |l| Cell::Whole(l.round.asked.into())),
    ("dropped", Kind::Whole, |l| Cell::Whole(l.round.dropped.into())),
    ("late", Kind::Whole, |l| Cell::Whole(l.round.late.into())),
    ("silent", Kind::Whole, |l| Cell::Whole(l.round.silent.into())),
    ("shards", Kind::Whole, |l| Cell::Whole(l.round.shards.into())),
    ("failed_shards", Kind::Whole, |l| Cell::Whole(l.round.failed_shards.into())),
    ("clip_norm", Kind::Real, |l| Cell::Real(Some(l.round.clip_norm))),
    ("clipped", Kind::Real, |l| Cell::Real(Some(l.round.clipped))),
    ("update_norm", Kind::Real, |l| Cell::Real(Some(l.round.update_norm))),
    ("noise_norm", Kind::Real, |l| Cell::Real(Some(l.round.noise_norm))),
    ("p5", Kind::Real, |l| Cell::Real(l.round.p5)),
    ("p50", Kind::Real, |l| Cell::Real(l.round.p50)),
    ("p95", Kind::Real, |l| Cell::Real(l.round.p95)),
    ("blind_spot", Kind::Real, |l| Cell::Real(l.round.blind_spot)),
    ("target_epsilon", Kind::Real, |l| Cell::Real(Some(target(l.settings().epsilon)))),
    ("target_rounds", Kind::Whole, |l| Cell::Whole(l.settings().rounds.get().into())),
    ("cohort", Kind::Whole, |l| Cell::Whole(l.settings().cohort.get().into())),
    ("clip", Kind::Real, |l| Cell::Real(Some(l.settings().clip.get()))),
    ("malicious", Kind::Real, |l| Cell::Real(Some(l.settings().malicious.get()))),
    ("boost", Kind::Real, |l| Cell::Real(Some(l.settings().boost.get()))),
    ("combine", Kind::Word, |l| Cell::Word(l.settings().combine.to_string())),
    ("seed", Kind::Whole, |l| Cell::Whole(i64::try_from(l.settings().seed).unwrap_or(i64::MAX))),
    ("failure", Kind::Word, |l| Cell::Word(l.round.failure.clone().unwrap_or_default())),
];

impl Line<'_> {
    fn settings(&self) -> &Settings {
        &self.outcome.run.settings
    }
}

/// No noise is no bound.
fn target(epsilon: Target) -> f64 {
    match epsilon {
        Target::None => f64::INFINITY,
        Target::Epsilon(epsilon) => epsilon.get(),
    }
}

fn lines(outcomes: &[Outcome]) -> impl Iterator<Item = Line<'_>> {
    let numbered = (1..).zip(outcomes);
    numbered.flat_map(|(number, outcome)| outcome.rounds.iter().map(move |round| Line { number, outcome, round }))
}

/// Every round of every run.
///
/// # Errors
/// Never, in memory.
pub(super) fn rounds_csv(outcomes: &[Outcome]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS.map(|(name, ..)| name))?;
    for line in lines(outcomes) {
        writer.write_record(COLUMNS.map(|(_, _, of)| match of(&line) {
            Cell::Whole(whole) => whole.to_string(),
            Cell::Real(real) => real.map_or_else(String::new, |real| real.to_string()),
            Cell::Word(word) => word,
        }))?;
    }
    Ok(writer.into_inner()?)
}

/// The same, for those who read columns.
///
/// # Errors
/// Never, in memory.
pub(super) fn rounds_parquet(outcomes: &[Outcome]) -> Result<Vec<u8>, ParquetError> {
    let fields = COLUMNS.iter().map(|(name, kind, _)| field(name, *kind).map(Arc::new)).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("rounds").with_fields(fields).build()?;
    let mut bytes = Vec::new();
    let properties =
        WriterProperties::builder().set_created_by(concat!("volet ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut writer = SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    for (_, kind, of) in COLUMNS {
        let Some(mut column) = group.next_column()? else { break };
        let cells = lines(outcomes).map(|line| of(&line));
        match kind {
            Kind::Whole => {
                let values: Vec<i64> =
                    cells.filter_map(|c| if let Cell::Whole(v) = c { Some(v) } else { None }).collect();
                column.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Kind::Real => {
                let cells: Vec<Option<f64>> =
                    cells.filter_map(|c| if let Cell::Real(v) = c { Some(v) } else { None }).collect();
                let there: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
                let values: Vec<f64> = cells.into_iter().flatten().collect();
                column.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            }
            Kind::Word => {
                let values: Vec<ByteArray> =
                    cells.filter_map(|c| if let Cell::Word(v) = c { Some(v.as_str().into()) } else { None }).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn field(name: &str, kind: Kind) -> Result<Type, ParquetError> {
    let (physical, repetition) = match kind {
        Kind::Whole => (Physical::INT64, Repetition::REQUIRED),
        Kind::Real => (Physical::DOUBLE, Repetition::OPTIONAL),
        Kind::Word => (Physical::BYTE_ARRAY, Repetition::REQUIRED),
    };
    let word = matches!(kind, Kind::Word).then_some(LogicalType::String);
    Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(word).build()
}

/// The quality of each held-out site, before the first round and after the last.
///
/// # Errors
/// Never, in memory.
pub(super) fn sites_csv(outcomes: &[Outcome]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["run", "site", "first", "last"])?;
    for (number, outcome) in (1..).zip(outcomes) {
        let both = outcome.before.per_site.iter().zip(&outcome.after.per_site);
        for (site, (first, last)) in (1..).zip(both) {
            writer.write_record(
                [number, site].map(|n: u32| n.to_string()).into_iter().chain([first, last].map(f64::to_string)),
            )?;
        }
    }
    Ok(writer.into_inner()?)
}
