//! Ledger files from strangers, and ours altered: never a panic, never more budget than the policy's, never less spent
//! than was.
#![no_main]

use std::collections::BTreeSet;
use std::io;
use std::sync::LazyLock;

use volet_federated::budget::{Day, DeviceSecret, Grant, Ledger, Limits, LineageId, Mark, MonotonicCounter, Policy, RollbackProtection, Scope, Statement, Terms};
use volet_federated::storage::{DirStorage, MemoryStorage, Storage};
use volet_federated::secagg::Demands;
use volet_federated::signing::SigningKey;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId, TaskId};

struct At(u64);

impl MonotonicCounter for At {
    fn read(&mut self) -> io::Result<Mark> {
        Ok(Mark { count: self.0, head: None })
    }

    fn advance(&mut self, _: [u8; 32]) -> io::Result<u64> {
        self.0 += 1;
        Ok(self.0)
    }

    fn protection(&self) -> RollbackProtection {
        RollbackProtection::Counter
    }
}

struct Ours {
    log: Vec<u8>,
    count: u64,
    spent: Rho,
}

/// A ledger of ours: four rounds, three of them sealed, one of those forgotten, and a second policy.
static OURS: LazyLock<Ours> = LazyLock::new(|| {
    let rho = |text: &str| text.parse().expect("a number");
    let lineage = LineageId::from_bytes([1; 32]);
    let owner = SigningKey::from([9; 32]);
    let limits = Limits { round: rho("0.2"), day: rho("0.3"), lineage: rho("0.5"), lifetime: rho("1") };
    let policy = |version| Policy {
        version,
        limits,
        max_clip: ClipNorm::new(2.0).expect("in range"),
        demands: Demands {
            minimum: CohortSize::new(10).expect("in range"),
            corrupt_per_mille: 100,
            security_bits: 40,
        },
        scope: Scope::Lineages(BTreeSet::from([lineage])),
        last_day: Day(1000),
    };
    let signed = |version| policy(version).sign(&owner).expect("small");
    let folder = std::env::temp_dir().join(format!("volet-fuzz-{}", std::process::id()));
    let storage = DirStorage::open(&folder).expect("a folder for temporary files");
    let created = Ledger::create(storage, At(0), &secret(), &(&owner).into(), signed(1));
    let mut ledger = created.expect("a new ledger");
    for number in 1..=4 {
        let terms = Terms {
            round: RoundId::new(TaskId::from_bytes([2; 16]), number).expect("above 0"),
            lineage,
            cost: rho("0.1"),
            noise: NoiseMultiplier::new(10.0).expect("positive"),
            clip: ClipNorm::new(1.0).expect("positive"),
            cohort: CohortSize::new(20).expect("in range"),
        };
        let grant = ledger.reserve(terms, Day(number as u32)).expect("within limits");
        if let (Grant::Reserved(reservation), 1..=3) = (grant, number) {
            ledger.seal(reservation, vec![number as u8; 8]).expect("reserved");
        }
    }
    ledger.forget(RoundId::new(TaskId::from_bytes([2; 16]), 1).expect("above 0")).expect("sealed");
    ledger.set_policy(signed(2)).expect("newer");
    let log = std::fs::read(folder.join("ledger")).expect("just written");
    std::fs::remove_dir_all(folder).expect("just made");
    Ours { log, count: 10, spent: ledger.explain().lifetime.spent }
});

fn secret() -> DeviceSecret {
    DeviceSecret::from_bytes([7; 32])
}

fn open(log: &[u8], count: u64) -> Option<Statement> {
    let mut storage = MemoryStorage::default();
    storage.write("ledger", 0, log).expect("memory");
    Ledger::open(storage, At(count), &secret()).ok().map(|ledger| ledger.explain())
}

fn check(statement: &Statement) {
    let limits = statement.policy.limits;
    assert!(statement.lifetime.left <= limits.lifetime);
    assert!(statement.lineages.values().all(|account| account.left <= limits.lineage));
    assert!(statement.days.values().all(|account| account.left <= limits.day));
    let costs = statement.rounds.iter().map(|round| round.terms.cost);
    let spent = costs.fold(Rho::ZERO, |sum, cost| sum.checked_add(cost).expect("checked"));
    assert_eq!(statement.lifetime.spent, spent);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(statement) = Statement::unverified(data) {
        check(&statement);
    }

    let ours = &*OURS;
    let mut log = ours.log.clone();
    for edit in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (log.len() + 1);
        match edit[2] % 4 {
            0 => log.truncate(at),
            1 => log.insert(at, edit[3]),
            _ => {
                if let Some(byte) = log.get_mut(at) {
                    *byte ^= edit[3];
                }
            }
        }
    }
    if let Ok(statement) = Statement::unverified(&log) {
        check(&statement);
    }
    for count in [ours.count, ours.count - 1] {
        if let Some(statement) = open(&log, count) {
            check(&statement);
            assert!(statement.lifetime.spent >= ours.spent, "counter at {count}");
        }
    }
    if !data.is_empty() {
        assert!(open(data, 1).is_none(), "nobody makes a record without the secret");
    }
});
