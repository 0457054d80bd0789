//! Many requests in one body, each answered for itself and in order.
//!
//! A batch must gain nothing over single requests but fewer round trips: its number, what of it is
//! worked on at a time, for how long, and the length of its answer are bounded, and each item takes
//! a place like any request, as long as it is worked on.

use super::limits::Places;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use nitro_signer_shared::json::Value;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The most items of a batch.
pub(super) const MAX_ITEMS: usize = 100;
/// The most items of one batch that are worked on at a time.
pub(super) const MAX_IN_FLIGHT: usize = 16;
/// The longest answer to a batch, in bytes. Signatures are about as long as what is signed, but
/// eth_accounts a hundred times over a hundred thousand keys would be half a gigabyte.
const MAX_ANSWER: usize = 16 * 1_048_576;

/// How long a batch may be worked on: below what a request may, so that what was signed by then is
/// not lost with the whole answer.
const DEADLINE: Duration = Duration::from_secs(240);

/// When each item must have its answer.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// That of what begins now.
    pub(super) fn start() -> Self {
        Self(Instant::now() + DEADLINE)
    }

    /// What the work comes to, if it ends in time. What has not begun by then does not begin.
    ///
    /// # Errors
    /// The work's own, or [`RefusalCode::Deadline`].
    pub(super) async fn or_refuse<T>(
        self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        if Instant::now() >= self.0 {
            return Err(RefusalCode::Deadline.into());
        }
        timeout_at(self.0, work).await.unwrap_or_else(|_| Err(RefusalCode::Deadline.into()))
    }
}

/// Items whose number is within the limit.
pub(super) struct Batch(Vec<Value>);

impl Batch {
    /// Counts the items before any is worked on.
    ///
    /// # Errors
    /// [`RefusalCode::MalformedRequest`] if there is none, [`RefusalCode::TooLarge`].
    pub(super) fn of(items: Vec<Value>) -> Result<Self, Refusal> {
        if items.is_empty() {
            let sentence = "the batch is empty; put requests into it";
            return Err(Refusal::new(RefusalCode::MalformedRequest, sentence));
        }
        if items.len() > MAX_ITEMS {
            let detail = format!("a batch may have {MAX_ITEMS} requests");
            return Err(Refusal::new(RefusalCode::TooLarge, detail));
        }
        Ok(Self(items))
    }

    /// The JSON array of what `answer` makes of each item by the deadline, in their order. As many
    /// are worked on at a time as there are free places, [`MAX_IN_FLIGHT`] at most; one always is,
    /// in the place that the batch has itself.
    pub(super) async fn answer<F>(
        self,
        places: &Places,
        answer: impl Fn(Value, Deadline) -> F,
    ) -> String
    where
        F: Future<Output = Item>,
    {
        let deadline = Deadline::start();
        let own = Arc::new(Semaphore::new(1));
        let mut waiting = self.0.into_iter();
        let mut working = FuturesOrdered::new();
        let mut array = String::from("[");
        loop {
            while waiting.len() > 0 && working.len() < MAX_IN_FLIGHT {
                let place = Arc::clone(&own).try_acquire_owned().ok().or_else(|| places.one());
                let Some(place) = place else { break };
                let Some(value) = waiting.next() else { break };
                working.push_back(in_place(place, answer(value, deadline)));
            }
            let Some(item) = working.next().await else { break };
            append(&mut array, item);
        }
        array.push(']');
        array
    }
}

/// Gives the place back when the item has its answer, whether or not the ones before it have.
async fn in_place(_place: OwnedSemaphorePermit, answer: impl Future<Output = Item>) -> Item {
    answer.await
}

fn append(array: &mut String, item: Item) {
    if array.len() > 1 {
        array.push(',');
    }
    if array.len() + item.answer.len() <= MAX_ANSWER {
        array.push_str(&item.answer);
    } else {
        array.push_str(&(item.too_long)(&too_long()));
    }
}

fn too_long() -> Refusal {
    let detail = format!("the batch's answers are over {MAX_ANSWER} bytes; ask for this one alone");
    Refusal::new(RefusalCode::TooLarge, detail)
}

/// One item's answer as JSON text, and the refusal in its place if it no longer fits.
pub(super) struct Item {
    pub(super) answer: String,
    pub(super) too_long: Box<dyn FnOnce(&Refusal) -> String + Send>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn numbers(count: usize) -> Vec<Value> {
        (0..count).map(|n| Value::Number(n.into())).collect()
    }

    /// Every place that is free, until it is dropped.
    fn free(places: &Places) -> Vec<OwnedSemaphorePermit> {
        std::iter::from_fn(|| places.one()).collect()
    }

    fn item(answer: String) -> Item {
        Item { answer, too_long: Box::new(|refusal| format!("\"{}\"", refusal.code)) }
    }

    #[test]
    fn a_batch_has_one_to_a_hundred_items() {
        let check = |count, expected| {
            let code = Batch::of(numbers(count)).err().map(|refusal| refusal.code);
            assert_eq!(code, expected, "{count}");
        };
        check(0, Some(RefusalCode::MalformedRequest));
        check(1, None);
        check(MAX_ITEMS, None);
        check(MAX_ITEMS + 1, Some(RefusalCode::TooLarge));
    }

    /// The answer to a hundred items of which the first take longest, and how many were worked on
    /// at a time.
    async fn measured(places: &Places) -> (String, usize) {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |number: Value, _| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let number = number.integer("it").unwrap_or_default();
            for _ in number..=MAX_ITEMS as u64 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            item(number.to_string())
        };
        let batch = Batch::of(numbers(MAX_ITEMS)).unwrap_or(Batch(Vec::new()));
        let answer = batch.answer(places, work).await;
        (answer, most.into_inner())
    }

    #[tokio::test]
    async fn items_are_answered_in_order_in_places_of_their_own() {
        let places = Places::default();
        let numbers: Vec<_> = (0..MAX_ITEMS).map(|n| n.to_string()).collect();
        let expected = format!("[{}]", numbers.join(","));
        assert_eq!(measured(&places).await, (expected.clone(), MAX_IN_FLIGHT));
        let taken = free(&places);
        assert_eq!(measured(&places).await, (expected.clone(), 1));
        drop(taken);
        assert_eq!(measured(&places).await, (expected, MAX_IN_FLIGHT));
    }

    #[tokio::test]
    async fn a_short_batch_takes_few_places() {
        let places = Places::default();
        let all = free(&places).len();
        let least = AtomicUsize::new(all);
        let work = async |_, _| {
            least.fetch_min(free(&places).len(), Ordering::SeqCst);
            item(String::new())
        };
        let batch = Batch::of(numbers(3)).unwrap_or(Batch(Vec::new()));
        batch.answer(&places, work).await;
        assert_eq!(least.into_inner(), all - 2);
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_its_item_ends() {
        let places = Places::default();
        let all = free(&places).len();
        // The first item ends once the others' places are back, though they wait for it.
        let work = async |number: Value, _| {
            while number.clone().integer("it") == Ok(0) && free(&places).len() < all {
                tokio::task::yield_now().await;
            }
            item(number.integer("it").unwrap_or_default().to_string())
        };
        let batch = Batch::of(numbers(3)).unwrap_or(Batch(Vec::new()));
        let answer = tokio::time::timeout(Duration::from_secs(20), batch.answer(&places, work));
        assert_eq!(answer.await.as_deref(), Ok("[0,1,2]"));
    }

    #[tokio::test]
    async fn what_is_not_done_by_the_deadline_is_refused() {
        let check = async |left: Duration, expected: &[Result<u8, RefusalCode>]| {
            let deadline = Deadline(Instant::now() + left);
            let pending = deadline.or_refuse(std::future::pending());
            let begun = AtomicUsize::new(0);
            let pending = pending.await.map_err(|refusal: Refusal| refusal.code);
            let late = deadline.or_refuse(async {
                begun.fetch_add(1, Ordering::SeqCst);
                Ok(1)
            });
            let late = late.await.map_err(|refusal| refusal.code);
            assert_eq!([pending, late], expected);
            assert_eq!(begun.into_inner(), 0, "did not begin");
        };
        let refused = Err(RefusalCode::Deadline);
        check(Duration::ZERO, &[refused, refused]).await;
        check(Duration::from_millis(5), &[refused, refused]).await;
        let in_time = Deadline::start();
        assert_eq!(in_time.or_refuse(async { Ok(1) }).await.ok(), Some(1));
        let own = in_time.or_refuse(async { Err::<u8, _>(RefusalCode::Busy.into()) }).await;
        assert_eq!(own.map_err(|refusal| refusal.code), Err(RefusalCode::Busy));
        let left = in_time.0 - Instant::now();
        assert!(left <= DEADLINE && left > DEADLINE - Duration::from_secs(20), "{left:?}");
    }

    #[tokio::test]
    async fn an_answer_that_no_longer_fits_is_refused_alone() {
        let work = async |number: Value, _| match number.integer("it") {
            Ok(1) => item("x".repeat(MAX_ANSWER)),
            _ => item("0".to_owned()),
        };
        let batch = Batch::of(numbers(3)).unwrap_or(Batch(Vec::new()));
        assert_eq!(batch.answer(&Places::default(), work).await, r#"[0,"too_large",0]"#);
    }
}
