//! What a policy allows: exactly that.

use proptest::prelude::*;
use volet_federated::budget::{
    BudgetError, Day, DeviceSecret, FileCounter, Ledger, LimitKind, PolicyError, Refusal, RoundState, Scope,
    SignedPolicy, Terms,
};
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, Rho};

use crate::{less_a_trillionth, limits, lineage, owner, policy, released, reserved, rho, round, secret, signed, terms};

type Memory = Ledger<MemoryStorage, FileCounter<MemoryStorage>>;

const WIDE: &str = "1000";

fn ledger(policy: SignedPolicy) -> Memory {
    let counter = FileCounter::new(MemoryStorage::default());
    Ledger::create(MemoryStorage::default(), counter, &secret(), &(&owner()).into(), policy).unwrap()
}

fn wide() -> Memory {
    ledger(signed(1, limits(WIDE, WIDE, WIDE, WIDE)))
}

fn refusal<T: std::fmt::Debug>(result: Result<T, BudgetError>) -> Refusal {
    match result.unwrap_err() {
        BudgetError::Refused(refusal) => refusal,
        error => panic!("{error}"),
    }
}

proptest! {
    /// Each limit by itself: n rounds that cost exactly it are accepted, and with one trillionth less the last is not.
    #[test]
    fn exactly_enough_is_enough(cost in 10_000_000_000u64..1 << 40, n in 1u64..6, which in 0usize..4) {
        let cost = Rho::from_trillionths(cost).unwrap();
        let all = (0..n).try_fold(Rho::ZERO, |sum, _| sum.checked_add(cost)).unwrap();
        let n = if which == 0 { 1 } else { n };
        for (short, most) in [(0, all), (1, less_a_trillionth(all))] {
            let mut set = limits(WIDE, WIDE, WIDE, WIDE);
            *[&mut set.round, &mut set.day, &mut set.lineage, &mut set.lifetime][which] =
                if which == 0 && short == 0 { cost } else if which == 0 { less_a_trillionth(cost) } else { most };
            let mut ledger = ledger(signed(1, set));
            for number in 1..=n {
                let terms = Terms { cost, ..terms(number, "0") };
                let result = ledger.reserve(terms, Day(3));
                if number < n || short == 0 {
                    reserved(result.unwrap());
                } else {
                    let left = less_a_trillionth(cost);
                    let limit = [
                        LimitKind::Round, LimitKind::Day(Day(3)), LimitKind::Lineage(lineage(1)), LimitKind::Lifetime
                    ][which];
                    let expected = Refusal::Over { round: terms.round, limit, cost, left };
                    prop_assert_eq!(refusal(result), expected);
                }
            }
            let spent = (0..n - short).try_fold(Rho::ZERO, |sum, _| sum.checked_add(cost)).unwrap();
            prop_assert_eq!(ledger.explain().lifetime.spent, spent);
        }
    }

    #[test]
    fn policies_from_strangers_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), bit in 0usize..1000) {
        if let Ok(policy) = SignedPolicy::from_bytes(&bytes) {
            prop_assert!(policy.verify(&(&owner()).into()).is_err());
        }
        let mut bytes = signed(1, limits("1", "1", "1", "1")).to_bytes().unwrap();
        let at = bit % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let policy = SignedPolicy::from_bytes(&bytes).and_then(|p| p.verify(&(&owner()).into()));
        prop_assert!(policy.is_err());
    }
}

#[test]
fn limits_are_separate_for_days_and_lineages() {
    let mut ledger = ledger(signed(1, limits("0.1", "0.2", "0.3", "0.5")));
    let other = |number| Terms { lineage: lineage(2), ..terms(number, "0.1") };
    for (terms, day, accepted) in [
        (terms(1, "0.1"), 5, true),
        (other(2), 5, true),
        (terms(3, "0.1"), 5, false), // of day 5
        (terms(4, "0.1"), 6, true),
        (terms(5, "0.1"), 6, true),
        (terms(6, "0.1"), 7, false), // of lineage 1
        (other(7), 7, true),
        (other(8), 8, false), // of the lifetime
    ] {
        assert_eq!(ledger.reserve(terms, Day(day)).is_ok(), accepted, "{}", terms.round);
    }
    let statement = ledger.explain();
    assert_eq!(statement.lifetime.left, Rho::ZERO);
    assert_eq!(statement.days[&Day(7)].left, rho("0.1"));
    assert_eq!(statement.lineages[&lineage(1)].spent, rho("0.3"));
    assert_eq!(statement.rounds.len(), 5);
}

#[test]
fn a_clock_set_back_refunds_nothing_and_one_far_ahead_spends_nothing() {
    let mut ledger = ledger(signed(1, limits("0.1", "0.1", "1", "1")));
    let refused = refusal(ledger.reserve(terms(1, "0.1"), Day(101)));
    assert_eq!(refused, Refusal::Ended { today: Day(101), last: Day(100) });
    reserved(ledger.reserve(terms(1, "0.1"), Day(50)).unwrap());
    let refused = refusal(ledger.reserve(terms(2, "0.1"), Day(49)));
    assert!(matches!(refused, Refusal::Over { limit: LimitKind::Day(Day(50)), left: Rho::ZERO, .. }), "{refused}");
    reserved(ledger.reserve(terms(2, "0.1"), Day(51)).unwrap());
    // Going on with a round needs no day to be right.
    reserved(ledger.reserve(terms(1, "0.1"), Day(0)).unwrap());
}

#[test]
fn the_same_round_gets_the_same_bytes_at_no_cost() {
    let mut ledger = wide();
    let first = reserved(ledger.reserve(terms(1, "0.1"), Day(1)).unwrap());
    let second = reserved(ledger.reserve(terms(1, "0.1"), Day(2)).unwrap());
    assert_eq!(ledger.seal(first, b"payload".to_vec()).unwrap().payload(), b"payload");
    assert_eq!(refusal(ledger.seal(second, b"another".to_vec())), Refusal::Sealed(round(1, 1)));
    for day in [0, 1, 9] {
        assert_eq!(released(ledger.reserve(terms(1, "0.1"), Day(day)).unwrap()).payload(), b"payload");
    }
    let statement = ledger.explain();
    assert_eq!(statement.lifetime.spent, rho("0.1"));
    assert_eq!(statement.rounds[0].day, Day(1));
    assert!(matches!(statement.rounds[0].state, RoundState::Sealed(payload) if payload.length == 7));
}

#[test]
fn a_reserved_round_keeps_its_terms() {
    let mut ledger = wide();
    let sent = terms(1, "0.1");
    let reservation = reserved(ledger.reserve(sent, Day(1)).unwrap());
    for sealed in [false, true] {
        for changed in [
            Terms { cost: rho("0.099"), ..sent },
            Terms { lineage: lineage(2), ..sent },
            Terms { cohort: CohortSize::new(11).unwrap(), ..sent },
            Terms { noise: NoiseMultiplier::new(11.0).unwrap(), ..sent },
        ] {
            assert_eq!(refusal(ledger.reserve(changed, Day(1))), Refusal::Changed(sent.round), "sealed: {sealed}");
        }
        if !sealed {
            let again = reserved(ledger.reserve(sent, Day(1)).unwrap());
            ledger.seal(again, vec![1]).unwrap();
        }
    }
    assert_eq!(refusal(ledger.seal(reservation, vec![2])), Refusal::Sealed(sent.round));
}

#[test]
fn what_the_policy_does_not_name_is_refused() {
    let mut ledger = wide();
    let good = terms(1, "0.1");
    let least = CohortSize::new(10).unwrap();
    let offered = CohortSize::new(9).unwrap();
    let small = refusal(ledger.reserve(Terms { cohort: offered, ..good }, Day(1)));
    assert_eq!(small, Refusal::Cohort { offered, least });
    let (most, offered) = (ClipNorm::new(2.0).unwrap(), ClipNorm::new(2.000_001).unwrap());
    let far = refusal(ledger.reserve(Terms { clip: offered, ..good }, Day(1)));
    assert_eq!(far, Refusal::Clip { offered, most });
    let foreign = refusal(ledger.reserve(Terms { lineage: lineage(3), ..good }, Day(1)));
    assert!(matches!(foreign, Refusal::Scope { .. }), "{foreign}");
    let least = good.noise.cost().unwrap();
    let cost = less_a_trillionth(least);
    assert_eq!(refusal(ledger.reserve(Terms { cost, ..good }, Day(1))), Refusal::TooCheap { cost, least });
    let loud = Terms { noise: NoiseMultiplier::new(1e-9).unwrap(), ..good };
    assert!(matches!(refusal(ledger.reserve(loud, Day(1))), Refusal::Noise(_)));
    assert_eq!(refusal(ledger.forget(good.round)), Refusal::NotReserved(good.round));
    assert_eq!(ledger.explain().lifetime.spent, Rho::ZERO);
    reserved(ledger.reserve(Terms { cost: least, ..good }, Day(1)).unwrap());
}

#[test]
fn tasks_can_be_what_is_allowed() {
    let mut allowed = policy(1, limits(WIDE, WIDE, WIDE, WIDE));
    allowed.scope = Scope::Tasks([round(1, 1).task()].into());
    let mut ledger = ledger(allowed.sign(&owner()).unwrap());
    reserved(ledger.reserve(Terms { lineage: lineage(3), ..terms(1, "0.1") }, Day(1)).unwrap());
    let other = Terms { round: round(2, 1), ..terms(1, "0.1") };
    assert!(matches!(refusal(ledger.reserve(other, Day(1))), Refusal::Scope { .. }));
}

#[test]
fn lower_limits_act_at_once_and_higher_ones_refund_nothing() {
    let mut ledger = ledger(signed(1, limits("0.1", "1", "1", "0.2")));
    let first = reserved(ledger.reserve(terms(1, "0.1"), Day(1)).unwrap());
    let second = reserved(ledger.reserve(terms(2, "0.1"), Day(1)).unwrap());
    ledger.seal(first, vec![1]).unwrap();

    ledger.set_policy(signed(2, limits("0.1", "1", "1", "0.15"))).unwrap();
    let overdrawn = Refusal::Overdrawn { limit: LimitKind::Lifetime };
    assert_eq!(refusal(ledger.seal(second, vec![2])), overdrawn);
    assert_eq!(refusal(ledger.reserve(terms(1, "0.1"), Day(1))), overdrawn);
    let account = ledger.explain().lifetime;
    assert_eq!((account.limit, account.spent, account.left), (rho("0.15"), rho("0.2"), Rho::ZERO));

    ledger.set_policy(signed(5, limits("0.1", "1", "1", "0.3"))).unwrap();
    assert_eq!(ledger.explain().lifetime.left, rho("0.1"));
    assert_eq!(released(ledger.reserve(terms(1, "0.1"), Day(1)).unwrap()).payload(), [1]);
    let second = reserved(ledger.reserve(terms(2, "0.1"), Day(1)).unwrap());
    ledger.seal(second, vec![2]).unwrap();
}

#[test]
fn a_policy_needs_the_owner_and_a_higher_version() {
    let mut ledger = ledger(signed(3, limits("0.1", "1", "1", "1")));
    let generous = limits(WIDE, WIDE, WIDE, WIDE);
    for version in [0, 2, 3] {
        let error = ledger.set_policy(signed(version, generous)).unwrap_err();
        let expected = PolicyError::Version { offered: version, present: 3 };
        assert!(matches!(error, BudgetError::Policy(error) if error == expected));
    }
    let stranger = SigningKey::from([8; 32]);
    let error = ledger.set_policy(policy(4, generous).sign(&stranger).unwrap()).unwrap_err();
    assert!(matches!(error, BudgetError::Policy(PolicyError::Signature)));
    assert_eq!(ledger.explain().policy.version, 3);

    let mut endless = policy(4, generous);
    endless.scope = Scope::Tasks((0..2000u64).map(|n| volet_federated::TaskId::from_bytes(id(n))).collect());
    assert!(matches!(endless.sign(&owner()), Err(PolicyError::TooLarge { .. })));
}

fn id(n: u64) -> [u8; 16] {
    u128::from(n).to_le_bytes()
}

#[test]
fn the_largest_policy_fits_a_record() {
    let mut large = policy(2, limits("1", "1", "1", "1"));
    large.scope = Scope::Tasks((0..1000u64).map(|n| volet_federated::TaskId::from_bytes(id(n))).collect());
    let mut ledger = wide();
    ledger.set_policy(large.sign(&owner()).unwrap()).unwrap();
    assert_eq!(ledger.explain().policy, large);
}

#[test]
fn what_is_forgotten_stays_spent() {
    let mut ledger = wide();
    let first = reserved(ledger.reserve(terms(1, "0.1"), Day(1)).unwrap());
    let second = reserved(ledger.reserve(terms(2, "0.1"), Day(1)).unwrap());
    ledger.seal(first, vec![1]).unwrap();
    for number in [1, 2, 2] {
        ledger.forget(round(1, number)).unwrap();
        let again = refusal(ledger.reserve(terms(number, "0.1"), Day(1)));
        assert_eq!(again, Refusal::Forgotten(round(1, number)));
    }
    assert_eq!(refusal(ledger.seal(second, vec![2])), Refusal::Forgotten(round(1, 2)));
    let statement = ledger.explain();
    assert_eq!(statement.lifetime.spent, rho("0.2"));
    assert!(matches!(statement.rounds[0].state, RoundState::Forgotten(Some(_))));
    assert_eq!(statement.rounds[1].state, RoundState::Forgotten(None));
}

#[test]
fn secrets_are_not_printed() {
    assert_eq!(format!("{:?}", DeviceSecret::from_bytes([7; 32])), "DeviceSecret(..)");
}

#[test]
fn a_policys_encoding_does_not_change() {
    // Signatures that owners have made depend on it.
    let bytes = signed(1, limits("0.5", "1", "2", "3")).to_bytes().unwrap();
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "84688b430d14f3110f1de14ccd1db35b40f67bd52af77ea7a86f116835e90f99"
    );
}
