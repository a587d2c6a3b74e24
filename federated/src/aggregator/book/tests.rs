//! What a round's sums make of the model, without the sites that they would come from.

use super::super::Config;
use super::super::setup::Setup;
use super::*;
use crate::secagg::Abort;

const PARAMETERS: usize = 3;

/// A book in a folder of its own, whose rounds have three shards of six sites or more.
fn book(combine: &str) -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Config::example(PARAMETERS as u32, "localhost");
    for (from, to) in [("shards = 1", "shards = 3"), ("combine = \"mean\"", &*format!("combine = {combine:?}"))] {
        assert!(text.contains(from));
        text = text.replace(from, to);
    }
    Setup::create(folder.path(), &text, "some model", b"some model").unwrap();
    let book = Setup::open(folder.path()).unwrap().book;
    (folder, book)
}

/// One round whose shards end like this; how it ended.
fn round(book: &mut Book, outcomes: Vec<Outcome>) -> Ended {
    let present = book.register().open(12, Time(1), Time(u64::MAX >> 1)).unwrap().unwrap();
    for outcome in outcomes {
        let shard = book.register().begin(present.number, 3, book.replica()).unwrap().unwrap();
        book.register().gathered(shard).unwrap();
        let plan = book.plan(shard, &present, Time(1)).unwrap();
        book.ended(shard, &plan, 6, &outcome).unwrap();
    }
    Book::finish(book, &present).unwrap();
    book.rounds().unwrap().pop().unwrap()
}

/// A sum whose mean is so many hundredths, as far as the integers go.
fn hundredths(of: f64) -> Outcome {
    let value = of * 0.01 * 6.0 * f64::from(crate::mechanism::BOUND);
    Outcome::Sum(Sum::of(vec![value.round() as i32; PARAMETERS], 6))
}

fn hostile() -> Outcome {
    Outcome::Sum(Sum::of(vec![i32::MIN; PARAMETERS], 6))
}

fn learned(book: &Book) -> Vec<f32> {
    let model = book.latest().unwrap().latest().model;
    read_learned(&book.inner.store.get(&file_name(&model)).unwrap().unwrap(), PARAMETERS).unwrap()
}

#[test]
fn one_hostile_shard_of_three_moves_the_mean_and_not_the_median() {
    for (combine, low, high) in [("median", 0.0099, 0.0201), ("trimmed-mean", 0.0099, 0.0201), ("mean", -1e9, -1e3)] {
        let (_folder, mut book) = book(combine);
        let ended = round(&mut book, vec![hundredths(1.0), hostile(), hundredths(2.0)]);
        assert_eq!((ended.failure, ended.contributors), (None, Some(18)));
        for value in learned(&book) {
            assert!((low..high).contains(&value), "{combine}: {value}");
        }
    }
}

#[test]
fn a_median_of_too_few_shards_is_no_mean_but_a_failure() {
    let (_folder, mut book) = book("median");
    let failed = || Outcome::Failed(Abort::NoHelper);
    let ended = round(&mut book, vec![hundredths(1.0), failed(), hundredths(1.0)]);
    assert!(ended.failure.as_ref().unwrap().contains("median is of 3 shards"), "{ended:?}");
    assert_eq!(book.releases().unwrap().len(), 1);
    // The next round has all of them.
    let ended = round(&mut book, vec![hundredths(1.0), hundredths(2.0), hundredths(3.0)]);
    assert_eq!(ended.failure, None);
    assert!(learned(&book).iter().all(|value| (value - 0.02).abs() < 1e-4));
}
