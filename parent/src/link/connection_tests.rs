//! The connection against an enclave that behaves and against ones that do not.

use super::*;
use nitro_signer_shared::message::{State, Status};
use tokio::net::UnixStream;

const SOON: Duration = Duration::from_secs(5);

fn status(keys: u64) -> Response {
    let status = Status {
        version: "1".to_owned(),
        state: State::Cold,
        boot_id: Default::default(),
        manifest_hash: None,
        keys,
    };
    Response::Status(status)
}

fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    (Connection::start(Box::new(ours)), theirs)
}

/// Reads one request: its id and what an honest answer's hash is.
async fn request(enclave: &mut UnixStream) -> (u64, B256) {
    let body = frame::read(enclave).await.expect("a request");
    let request: RequestFrame = frame::decode(&body).expect("decodes");
    (request.id, B256::from_slice(digest(&SHA256, &body).as_ref()))
}

async fn answer(enclave: &mut UnixStream, id: u64, request_hash: B256, keys: u64) {
    let response = ResponseFrame { id, request_hash, result: Ok(status(keys)) };
    let body = frame::encode(&response).expect("encodes");
    frame::write(enclave, &body).await.expect("writes");
}

async fn ask(connection: &Connection) -> Answer {
    connection.call(Ask::own(Request::Status {}), SOON).await
}

fn code(answer: Answer) -> RefusalCode {
    answer.expect_err("is refused").code
}

#[tokio::test]
async fn answers_find_their_callers_in_any_order() {
    let (connection, mut enclave) = pair();
    let serve = async {
        let first = request(&mut enclave).await;
        let second = request(&mut enclave).await;
        answer(&mut enclave, second.0, second.1, second.0).await;
        answer(&mut enclave, first.0, first.1, first.0).await;
    };
    let (one, two, ()) = tokio::join!(ask(&connection), ask(&connection), serve);
    assert_eq!(one.expect("is answered"), status(1));
    assert_eq!(two.expect("is answered"), status(2));
}

#[tokio::test]
async fn an_answer_to_another_request_ends_the_connection() {
    let (connection, mut enclave) = pair();
    let serve = async {
        let (id, _) = request(&mut enclave).await;
        answer(&mut enclave, id, B256::ZERO, 0).await;
    };
    let (refused, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(code(refused), RefusalCode::LinkDown);
    assert_eq!(connection.ended().await, End::Protocol("an answer to another request"));
    assert_eq!(code(ask(&connection).await), RefusalCode::LinkDown);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_ends_the_connection() {
    let (connection, mut enclave) = pair();
    let serve = async {
        let (id, hash) = request(&mut enclave).await;
        answer(&mut enclave, id + 7, hash, 0).await;
    };
    let (refused, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(code(refused), RefusalCode::LinkDown);
}

#[tokio::test]
async fn the_same_answer_twice_ends_the_connection() {
    let (connection, mut enclave) = pair();
    let serve = async {
        let (id, hash) = request(&mut enclave).await;
        answer(&mut enclave, id, hash, 0).await;
        answer(&mut enclave, id, hash, 0).await;
    };
    let (first, ()) = tokio::join!(ask(&connection), serve);
    assert!(first.is_ok());
    assert_eq!(connection.ended().await, End::Protocol("an answer that nobody waits for"));
}

#[tokio::test]
async fn what_is_not_a_response_ends_the_connection() {
    for (bytes, expected) in [
        (b"XX\x00\x01\x00\x00\x00\x01a".as_slice(), End::Protocol("not a frame")),
        (b"NS\x00\x02\x00\x00\x00\x01a", End::Version(2)),
        (b"NS\x00\x01\x00\x00\x00\x01a", End::Protocol("a frame that is not a response")),
        (b"NS\x00\x01\x00\x00", End::Failed),
    ] {
        let (connection, mut enclave) = pair();
        tokio::io::AsyncWriteExt::write_all(&mut enclave, bytes).await.expect("writes");
        drop(enclave);
        assert_eq!(connection.ended().await, expected);
    }
}

#[tokio::test]
async fn too_many_in_flight_are_refused_at_once_and_the_supervisor_still_gets_through() {
    let (connection, mut enclave) = pair();
    let connection = Arc::new(connection);
    for _ in 0..MAX_IN_FLIGHT {
        let connection = Arc::clone(&connection);
        tokio::spawn(async move { ask(&connection).await });
    }
    let mut asked = Vec::new();
    for _ in 0..MAX_IN_FLIGHT {
        asked.push(request(&mut enclave).await);
    }
    assert_eq!(code(ask(&connection).await), RefusalCode::Busy);
    let serve = async {
        let (id, hash) = request(&mut enclave).await;
        answer(&mut enclave, id, hash, 9).await;
    };
    let own = connection.call_own(Request::Status {}, SOON);
    let (own, ()) = tokio::join!(own, serve);
    assert_eq!(own.expect("is answered"), status(9));
}

#[tokio::test]
async fn a_deadline_passes_and_the_late_answer_harms_nobody() {
    let (connection, mut enclave) = pair();
    let late = connection.call(Ask::own(Request::Status {}), Duration::from_millis(20)).await;
    assert_eq!(code(late), RefusalCode::Deadline);
    let (id, hash) = request(&mut enclave).await;
    answer(&mut enclave, id, hash, 0).await;
    let serve = async {
        let (id, hash) = request(&mut enclave).await;
        answer(&mut enclave, id, hash, 5).await;
    };
    let (next, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(next.expect("is answered"), status(5));
}

#[tokio::test]
async fn giving_up_tells_everybody() {
    let (connection, _enclave) = pair();
    let give_up = async {
        tokio::task::yield_now().await;
        connection.give_up();
    };
    let (refused, ()) = tokio::join!(ask(&connection), give_up);
    assert_eq!(code(refused), RefusalCode::LinkDown);
    assert_eq!(connection.ended().await, End::GivenUp);
}
