//! The request ids of proofs that were used and have not expired: each serves once.
//!
//! Kept in memory, for one boot: nothing the host stores could stop a replay, since it can be
//! rolled back. A proof from before a restart can be used once more within its ten minutes; what
//! it asks for passes policy again.

use alloy_primitives::B256;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::{BTreeSet, HashSet};

/// The most ids remembered: 109 proofs a second for as long as a proof may live, in about 8 MiB.
pub(super) const MAX_REMEMBERED: usize = 65_536;

/// Request ids and when each may be forgotten.
#[derive(Default)]
pub(super) struct SeenRequests {
    ids: HashSet<B256>,
    by_expiry: BTreeSet<(u64, B256)>,
    /// The latest time any caller came with. Two callers may arrive here in another order than
    /// they read the clock; judged by its own earlier reading, the later one could use an id that
    /// was just forgotten.
    latest_s: u64,
}

impl SeenRequests {
    /// Records a verified proof's id, or refuses it.
    pub(super) fn admit(&mut self, id: B256, expiry_s: u64, now_s: u64) -> Result<(), Refusal> {
        self.latest_s = self.latest_s.max(now_s);
        self.forget_expired();
        if expiry_s <= self.latest_s {
            return Err(RefusalCode::ProofExpired.into());
        }
        if self.ids.contains(&id) {
            return Err(RefusalCode::ProofReplayed.into());
        }
        if self.ids.len() >= MAX_REMEMBERED {
            let text = "as many proofs are in use as are remembered; try again in a minute";
            return Err(Refusal::new(RefusalCode::Busy, text));
        }
        self.ids.insert(id);
        self.by_expiry.insert((expiry_s, id));
        Ok(())
    }

    fn forget_expired(&mut self) {
        while let Some((expiry_s, id)) = self.by_expiry.first().copied() {
            if expiry_s > self.latest_s {
                return;
            }
            self.by_expiry.pop_first();
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    fn id(number: usize) -> B256 {
        B256::from(U256::from(number))
    }

    fn code(result: Result<(), Refusal>) -> Option<RefusalCode> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn an_id_serves_once_until_it_expires() {
        let mut seen = SeenRequests::default();
        assert_eq!(code(seen.admit(id(1), 110, 100)), None);
        assert_eq!(code(seen.admit(id(1), 110, 101)), Some(RefusalCode::ProofReplayed));
        assert_eq!(code(seen.admit(id(1), 200, 109)), Some(RefusalCode::ProofReplayed));
        assert_eq!(code(seen.admit(id(1), 200, 110)), None);
    }

    #[test]
    fn an_id_that_was_forgotten_does_not_serve_a_caller_with_an_earlier_clock() {
        let mut seen = SeenRequests::default();
        assert_eq!(code(seen.admit(id(1), 110, 100)), None);
        assert_eq!(code(seen.admit(id(2), 120, 111)), None);
        for expiry_s in [110, 111] {
            assert_eq!(code(seen.admit(id(1), expiry_s, 109)), Some(RefusalCode::ProofExpired));
        }
        assert_eq!(code(seen.admit(id(1), 112, 109)), None);
    }

    #[test]
    fn a_full_memory_refuses_until_something_expires() {
        let mut seen = SeenRequests::default();
        for number in 0..MAX_REMEMBERED {
            assert_eq!(code(seen.admit(id(number), 110 + (number as u64 & 1), 100)), None);
        }
        assert_eq!(code(seen.admit(id(MAX_REMEMBERED), 120, 100)), Some(RefusalCode::Busy));
        assert_eq!(code(seen.admit(id(MAX_REMEMBERED), 120, 110)), None);
        assert_eq!(seen.ids.len(), seen.by_expiry.len());
        assert_eq!(seen.ids.len(), MAX_REMEMBERED / 2 + 1);
    }
}
