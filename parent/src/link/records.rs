//! Loading the stored key records into the enclave, in bounded batches.
//!
//! One bad record must never stop the others: it is counted, logged by its code, and left alone.

use super::REQUEST_DEADLINE;
use super::connection::Connection;
use super::supervisor::another_answer;
use crate::store::{Store, Stored};
use futures_util::StreamExt;
use nitro_signer_shared::message::{
    MAX_RECORD_BATCH_BYTES, MAX_RECORDS_PER_BATCH, Request, Response,
};
use nitro_signer_shared::refusal::Refusal;
use serde_bytes::ByteBuf;

/// What became of the stored records.
#[derive(Clone, Copy, Default)]
pub(super) struct Loaded {
    pub(super) accepted: u64,
    pub(super) refused: u64,
}

/// Gives the enclave every record of the store.
///
/// # Errors
/// The store's or the link's refusal; what was loaded before it stays loaded.
pub(super) async fn load(connection: &Connection, store: &Store) -> Result<Loaded, Refusal> {
    let mut loaded = Loaded::default();
    let mut batch = Batch::default();
    let mut records = store.records();
    while let Some(stored) = records.next().await {
        match stored? {
            Stored::NotARecord(name) => {
                tracing::warn!(name, "an object in the store is not a key record");
                loaded.refused += 1;
            }
            Stored::Unreadable => loaded.refused += 1,
            Stored::Record(record) => {
                if !batch.fits(&record) {
                    std::mem::take(&mut batch).send(connection, &mut loaded).await?;
                }
                batch.push(record);
            }
        }
    }
    if !batch.records.is_empty() {
        batch.send(connection, &mut loaded).await?;
    }
    Ok(loaded)
}

#[derive(Default)]
struct Batch {
    records: Vec<ByteBuf>,
    bytes: usize,
}

impl Batch {
    fn fits(&self, record: &[u8]) -> bool {
        self.records.len() < MAX_RECORDS_PER_BATCH
            && self.bytes + record.len() <= MAX_RECORD_BATCH_BYTES
    }

    fn push(&mut self, record: Vec<u8>) {
        self.bytes += record.len();
        self.records.push(ByteBuf::from(record));
    }

    async fn send(self, connection: &Connection, loaded: &mut Loaded) -> Result<(), Refusal> {
        let request = Request::LoadRecords { records: self.records };
        let answer = match connection.call_own(request, REQUEST_DEADLINE).await? {
            Response::RecordsLoaded(answer) => answer,
            _ => return Err(another_answer()),
        };
        loaded.accepted += u64::from(answer.accepted);
        loaded.refused += answer.refused.len() as u64;
        for record in answer.refused {
            tracing::warn!(code = %record.code, "a key record was refused");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_number_and_bytes() {
        let check = |size: usize, expected: usize| {
            let mut batch = Batch::default();
            while batch.fits(&vec![0; size]) {
                batch.push(vec![0; size]);
            }
            assert_eq!(batch.records.len(), expected, "records of {size} bytes");
        };
        check(1, MAX_RECORDS_PER_BATCH);
        check(1_048, MAX_RECORDS_PER_BATCH);
        check(8_192, MAX_RECORD_BATCH_BYTES / 8_192);
    }
}
