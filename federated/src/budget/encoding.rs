//! How the crate's nouns are written in records and policies. What is read passes the same checks as what is made.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId, TaskId};

/// Writes a type as a plainer one and reads it back through its constructor.
macro_rules! encode_as {
    ($($noun:ty as $plain:ty: $get:expr, $make:expr;)*) => {$(
        impl BorshSerialize for $noun {
            fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
                let get: fn(&$noun) -> $plain = $get;
                get(self).serialize(writer)
            }
        }

        impl BorshDeserialize for $noun {
            fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
                let plain = <$plain>::deserialize_reader(reader)?;
                $make(plain).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    )*};
}

encode_as! {
    Rho as u64: |rho| rho.trillionths(), Rho::from_trillionths;
    CohortSize as u32: |cohort| cohort.get(), CohortSize::new;
    NoiseMultiplier as f64: |noise| noise.get(), NoiseMultiplier::new;
    ClipNorm as f64: |clip| clip.get(), ClipNorm::new;
    TaskId as [u8; 16]: |task| *task.as_bytes(), |bytes| Ok::<_, io::Error>(TaskId::from_bytes(bytes));
    RoundId as (TaskId, u64): |round| (round.task(), round.number()), |(task, number)| RoundId::new(task, number);
}
