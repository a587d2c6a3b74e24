//! Real engines for tests: PostgreSQL from Debian's packages or the PATH, and an S3 server in this process.

#![allow(dead_code, unused_imports)] // each test uses some of it

mod postgres;
mod replicas;
mod s3;

pub(crate) use postgres::Postgres;
pub(crate) use replicas::Replicas;
pub(crate) use s3::{ACCESS, BUCKET, S3, SECRET};
