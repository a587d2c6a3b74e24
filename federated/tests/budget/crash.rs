//! The power goes, or the disk fails, at every operation of any schedule; and the budget holds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use volet_federated::budget::{
    BudgetError, Day, FileCounter, Grant, Ledger, Limits, MonotonicCounter, Refusal, Release, RoundState, Statement,
    Terms,
};
use volet_federated::{Rho, RoundId};

use crate::disk::{Fault, Folder, Hardware, Machine, Shared};
use crate::{limits, lineage, owner, round, secret, signed, terms};

/// What a device is asked to do.
#[derive(Clone, Copy, Debug)]
enum Action {
    Reserve { who: u64, day: u32 },
    Send { who: u64, day: u32 },
    Forget { who: u64 },
    Policy { limits: usize },
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let (who, day) = (0u64..6, 0u32..4);
    prop_oneof![
        2 => (who.clone(), day.clone()).prop_map(|(who, day)| Action::Reserve { who, day }),
        5 => (who.clone(), day).prop_map(|(who, day)| Action::Send { who, day }),
        1 => who.prop_map(|who| Action::Forget { who }),
        1 => (0usize..3).prop_map(|limits| Action::Policy { limits }),
        1 => Just(Action::Restart),
    ]
}

/// Tight, so that schedules meet them.
fn policies() -> [Limits; 3] {
    [limits("0.1", "0.2", "0.25", "0.4"), limits("0.1", "0.1", "0.2", "0.2"), limits("0.2", "0.3", "0.35", "0.6")]
}

/// Six rounds of two lineages that cost 0.1 or 0.07.
fn offer(who: u64) -> Terms {
    let cost = if who.is_multiple_of(3) { "0.07" } else { "0.1" };
    Terms { round: round(1, who + 1), lineage: lineage(1 + (who % 2) as u8), ..terms(1, cost) }
}

/// What the world outside has seen, whatever the device remembers.
struct World<C> {
    machine: Shared,
    counter: fn(&Shared) -> C,
    device: Option<Ledger<Folder, C>>,
    created: bool,
    version: u64,
    acknowledged: BTreeMap<RoundId, Terms>,
    sent: BTreeMap<RoundId, Vec<u8>>,
    noise: u64,
}

type TestResult = Result<(), TestCaseError>;

impl<C: MonotonicCounter> World<C> {
    fn new(seed: u64, faults: &[(usize, Fault)], counter: fn(&Shared) -> C) -> Self {
        Self {
            machine: Machine::new(seed, faults),
            counter,
            device: None,
            created: false,
            version: 1,
            acknowledged: BTreeMap::new(),
            sent: BTreeMap::new(),
            noise: 0,
        }
    }

    /// Runs a schedule to its end and looks at everything once more after a last power cut.
    fn run(&mut self, schedule: &[Action]) -> TestResult {
        for &action in schedule {
            self.start()?;
            if let Err(error) = self.act(action)? {
                match error {
                    BudgetError::Refused(_) => {}
                    BudgetError::Storage { .. } => self.device = None,
                    error => return Err(TestCaseError::fail(format!("{action:?}: {error}"))),
                }
            }
        }
        self.device = None;
        self.machine.borrow_mut().mend();
        self.machine.borrow_mut().reboot();
        self.start()?;
        let statement = self.statement();
        self.check(&statement)?;
        for round in statement.rounds {
            let RoundState::Sealed(_) = round.state else { continue };
            match self.device.as_mut().unwrap().reserve(round.terms, Day(0)) {
                // What was sealed is there, sent or not.
                Ok(Grant::Released(release)) => self.send(&release)?,
                // Within the policy's limits nothing sealed is withheld.
                Err(BudgetError::Refused(Refusal::Overdrawn { .. } | Refusal::Over { .. })) => {}
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    /// Switches the device on until it runs. Faults are errors and end; damage and a lost ledger must not be.
    fn start(&mut self) -> TestResult {
        // Two faults at most keep it from starting.
        for _ in 0..4 {
            if self.device.is_some() {
                break;
            }
            if self.machine.borrow().off {
                self.machine.borrow_mut().reboot();
            }
            let folder = || Folder { machine: self.machine.clone(), name: "ledger" };
            let counter = (self.counter)(&self.machine);
            match Ledger::open(folder(), counter, &secret()) {
                Ok(ledger) => self.device = Some(ledger),
                Err(BudgetError::Storage { .. }) => continue,
                Err(BudgetError::NotCreated) if !self.created => {
                    let counter = (self.counter)(&self.machine);
                    let policy = signed(1, policies()[0]);
                    match Ledger::create(folder(), counter, &secret(), &(&owner()).into(), policy) {
                        Ok(ledger) => self.device = Some(ledger),
                        Err(BudgetError::Storage { .. }) => continue,
                        Err(error) => return Err(TestCaseError::fail(format!("create: {error}"))),
                    }
                }
                Err(error) => return Err(TestCaseError::fail(format!("open: {error}"))),
            }
            self.created = true;
            self.check(&self.statement())?;
        }
        prop_assert!(self.device.is_some(), "the device never starts");
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Result<(), BudgetError>, TestCaseError> {
        let Some(device) = &mut self.device else { return Ok(Ok(())) };
        let (Action::Reserve { who, day } | Action::Send { who, day }) = action else {
            return Ok(match action {
                Action::Forget { who } => device.forget(offer(who).round),
                Action::Policy { limits } => {
                    self.version += 1;
                    device.set_policy(signed(self.version, policies()[limits]))
                }
                _ => {
                    self.device = None;
                    Ok(())
                }
            });
        };
        let terms = offer(who);
        let granted = match device.reserve(terms, Day(day)) {
            Ok(granted) => granted,
            Err(error) => return Ok(Err(error)),
        };
        if self.acknowledged.insert(terms.round, terms).is_none() {
            let statement = device.explain();
            let mut accounts = [statement.lifetime].into_iter().chain(statement.days.into_values());
            // A day that a lower limit came after may have more on it; this reservation's does not.
            prop_assert!(accounts.next().is_some_and(|lifetime| lifetime.spent <= lifetime.limit));
            let of_lineage = statement.lineages[&terms.lineage];
            prop_assert!(of_lineage.spent <= of_lineage.limit);
            let last = accounts.last().unwrap();
            prop_assert!(last.spent <= last.limit);
        }
        let release = match (granted, action) {
            (Grant::Released(release), _) => release,
            (Grant::Reserved(reservation), Action::Send { .. }) => {
                self.noise += 1;
                let payload = [&self.noise.to_le_bytes()[..], &[who as u8; 40]].concat();
                match device.seal(reservation, payload) {
                    Ok(release) => release,
                    Err(error) => return Ok(Err(error)),
                }
            }
            (Grant::Reserved(_), _) => return Ok(Ok(())),
        };
        self.send(&release)?;
        Ok(Ok(()))
    }

    /// One round, one payload, ever.
    fn send(&mut self, release: &Release) -> TestResult {
        let payload = release.payload();
        let before = self.sent.entry(release.terms().round).or_insert_with(|| payload.to_vec());
        prop_assert_eq!(&before[..], payload);
        Ok(())
    }

    fn statement(&self) -> Statement {
        self.device.as_ref().unwrap().explain()
    }

    /// The ledger knows of all that was acknowledged or sent, and of nothing beyond any policy.
    fn check(&self, statement: &Statement) -> TestResult {
        let sum = |of: &dyn Fn(&Terms) -> bool| {
            let costs = self.acknowledged.values().filter(|terms| of(terms)).map(|terms| terms.cost);
            costs.fold(Rho::ZERO, |sum, cost| sum.checked_add(cost).unwrap())
        };
        prop_assert!(statement.lifetime.spent >= sum(&|_| true));
        for n in [1, 2] {
            let spent = statement.lineages.get(&lineage(n)).map(|account| account.spent).unwrap_or_default();
            prop_assert!(spent >= sum(&|terms| terms.lineage == lineage(n)));
        }
        let most = policies()[2];
        prop_assert!(statement.lifetime.spent <= most.lifetime);
        prop_assert!(statement.days.values().all(|account| account.spent <= most.day));
        prop_assert!(statement.lineages.values().all(|account| account.spent <= most.lineage));
        for (round, sent) in &self.sent {
            let said = statement.rounds.iter().find(|said| said.terms.round == *round);
            let payload = said.and_then(|said| said.state.payload());
            prop_assert_eq!(payload.map(|payload| payload.digest), Some(*blake3::hash(sent).as_bytes()));
        }
        Ok(())
    }
}

/// Every operation of a schedule fails once in every way, and a second fault may follow during recovery.
fn at_every_point<C: MonotonicCounter>(
    schedule: &[Action],
    seed: u64,
    second: (usize, Fault),
    counter: fn(&Shared) -> C,
) -> TestResult {
    let mut sound = World::new(seed, &[], counter);
    sound.run(schedule)?;
    let spent = sound.acknowledged.values().fold(Rho::ZERO, |sum, terms| sum.checked_add(terms.cost).unwrap());
    prop_assert_eq!(sound.statement().lifetime.spent, spent, "without faults nothing is spent in vain");
    let operations = sound.machine.borrow().operations;
    for first in 0..operations {
        for fault in Fault::ALL {
            let faults = [(first, fault), (first + second.0, second.1)];
            let once = &faults[..if second.0 == 0 { 1 } else { 2 }];
            World::new(seed ^ first as u64, once, counter)
                .run(schedule)
                .map_err(|error| TestCaseError::fail(format!("{once:?} of {operations}: {error}")))?;
        }
    }
    Ok(())
}

/// Every operation of a short schedule fails in every way, and then every one of the next again, so that recovery itself is
/// recovered from.
fn at_every_pair<C: MonotonicCounter>(counter: fn(&Shared) -> C) {
    let schedule = [Action::Send { who: 0, day: 0 }, Action::Reserve { who: 1, day: 0 }];
    let mut sound = World::new(0, &[], counter);
    sound.run(&schedule).unwrap();
    let operations = sound.machine.borrow().operations;
    for first in 0..operations {
        for gap in 1..20 {
            for one in Fault::ALL {
                for other in [Fault::PowerDuring, Fault::NoSpace, Fault::Io] {
                    let faults = [(first, one), (first + gap, other)];
                    let seed = (first * 31 + gap) as u64;
                    let run = World::new(seed, &faults, counter).run(&schedule);
                    run.unwrap_or_else(|error| panic!("{faults:?}: {error}"));
                }
            }
        }
    }
}

#[test]
fn recovery_can_be_interrupted_with_a_hardware_counter() {
    at_every_pair(|machine| Hardware { machine: machine.clone(), anchor: true });
}

#[test]
fn recovery_can_be_interrupted_with_a_counter_in_a_file() {
    at_every_pair(|machine| FileCounter::new(Folder { machine: machine.clone(), name: "counter" }));
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(Fault::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_budget_holds_through_every_fault_with_a_hardware_counter(
        schedule in prop::collection::vec(action(), 1..10), seed: u64, second in (0usize..30, fault()), anchor: bool,
    ) {
        let counter: fn(&Shared) -> Hardware = match anchor {
            true => |machine| Hardware { machine: machine.clone(), anchor: true },
            false => |machine| Hardware { machine: machine.clone(), anchor: false },
        };
        at_every_point(&schedule, seed, second, counter)?;
    }

    #[test]
    fn the_budget_holds_through_every_fault_with_a_counter_in_a_file(
        schedule in prop::collection::vec(action(), 1..10), seed: u64, second in (0usize..30, fault()),
    ) {
        at_every_point(&schedule, seed, second, |machine| {
            FileCounter::new(Folder { machine: machine.clone(), name: "counter" })
        })?;
    }
}
