//! Many requests in one body, each answered for itself and in order.
//!
//! A batch must gain nothing over single requests but fewer round trips: its number, what of it is
//! worked on at a time and the length of its answer are bounded, and each item takes a place like
//! any request.

use super::limits::Places;
use futures_util::{StreamExt, stream};
use nitro_signer_shared::json::Value;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// The most items of a batch.
pub(super) const MAX_ITEMS: usize = 100;
/// The most items of one batch that are worked on at a time.
pub(super) const MAX_IN_FLIGHT: usize = 16;
/// The longest answer to a batch, in bytes. Signatures are about as long as what is signed, but
/// eth_accounts a hundred times over a hundred thousand keys would be half a gigabyte.
const MAX_ANSWER: usize = 16 * 1_048_576;

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

    /// The JSON array of what `answer` makes of each item, in their order. As many are worked on
    /// at a time as there are free places, [`MAX_IN_FLIGHT`] at most; one always is, in the place
    /// that the batch has itself.
    pub(super) async fn answer<F>(self, places: &Places, answer: impl Fn(Value) -> F) -> String
    where
        F: Future<Output = Item>,
    {
        let more_places = places.some(self.0.len().min(MAX_IN_FLIGHT).saturating_sub(1));
        let answers = stream::iter(self.0).map(answer).buffered(1 + more_places.len());
        let mut answers = std::pin::pin!(answers);
        let mut array = String::from("[");
        while let Some(item) = answers.next().await {
            if array.len() > 1 {
                array.push(',');
            }
            if array.len() + item.answer.len() <= MAX_ANSWER {
                array.push_str(&item.answer);
            } else {
                array.push_str(&(item.too_long)(&too_long()));
            }
        }
        array.push(']');
        array
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
        let work = async |number: Value| {
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
        let taken = places.some(usize::MAX);
        assert_eq!(measured(&places).await, (expected.clone(), 1));
        drop(taken);
        assert_eq!(measured(&places).await, (expected, MAX_IN_FLIGHT));
    }

    #[tokio::test]
    async fn a_short_batch_takes_few_places() {
        let places = Places::default();
        let all = places.some(usize::MAX).len();
        let free = AtomicUsize::new(0);
        let work = async |_| {
            free.store(places.some(usize::MAX).len(), Ordering::SeqCst);
            item(String::new())
        };
        let batch = Batch::of(numbers(3)).unwrap_or(Batch(Vec::new()));
        batch.answer(&places, work).await;
        assert_eq!(free.into_inner(), all - 2);
    }

    #[tokio::test]
    async fn an_answer_that_no_longer_fits_is_refused_alone() {
        let work = async |number: Value| match number.integer("it") {
            Ok(1) => item("x".repeat(MAX_ANSWER)),
            _ => item("0".to_owned()),
        };
        let batch = Batch::of(numbers(3)).unwrap_or(Batch(Vec::new()));
        assert_eq!(batch.answer(&Places::default(), work).await, r#"[0,"too_large",0]"#);
    }
}
