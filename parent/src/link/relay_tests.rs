//! The relay between a fake enclave's socket and a fake KMS.

use super::*;
use tokio::net::{TcpListener, UnixListener, UnixStream};

const NAME: &str = "kms.eu-central-1.amazonaws.com:443";

struct Stage {
    _dir: tempfile::TempDir,
    enclave: UnixListener,
    kms: TcpListener,
    _relay: JoinSet<()>,
}

async fn stage() -> Stage {
    let dir = tempfile::tempdir().expect("a directory");
    let enclave = UnixListener::bind(dir.path().join("5001.sock")).expect("binds");
    let kms = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let connect = kms.local_addr().expect("is bound").to_string();
    let target = Target { name: NAME.to_owned(), connect };
    let mut relay = JoinSet::new();
    relay.spawn(run(EnclaveAddress::Unix(dir.path().to_owned()), target));
    Stage { _dir: dir, enclave, kms, _relay: relay }
}

async fn ask(line: &mut UnixStream, name: &str) -> u8 {
    line.write_u8(u8::try_from(name.len()).expect("is short")).await.expect("writes");
    line.write_all(name.as_bytes()).await.expect("writes");
    line.read_u8().await.expect("an answer")
}

#[tokio::test]
async fn four_lines_stand_ready_and_a_used_one_is_replaced() {
    let stage = stage().await;
    let mut lines = Vec::new();
    for _ in 0..IDLE {
        lines.push(stage.enclave.accept().await.expect("a line").0);
    }
    let more = timeout(Duration::from_millis(200), stage.enclave.accept()).await;
    assert!(more.is_err(), "no more than {IDLE} stand ready");
    assert_eq!(ask(&mut lines[0], NAME).await, JOINED);
    stage.enclave.accept().await.expect("another one");
}

#[tokio::test]
async fn bytes_go_both_ways_until_one_side_closes() {
    let stage = stage().await;
    let (mut line, _) = stage.enclave.accept().await.expect("a line");
    assert_eq!(ask(&mut line, NAME).await, JOINED);
    let (mut remote, _) = stage.kms.accept().await.expect("is dialled");
    line.write_all(b"question").await.expect("writes");
    let mut buffer = [0; 8];
    remote.read_exact(&mut buffer).await.expect("arrives");
    assert_eq!(&buffer, b"question");
    remote.write_all(b"response").await.expect("writes");
    drop(remote);
    let mut rest = Vec::new();
    line.read_to_end(&mut rest).await.expect("ends");
    assert_eq!(rest, b"response");
}

#[tokio::test]
async fn only_the_one_name_is_joined() {
    let stage = stage().await;
    for name in [
        "kms.eu-central-1.amazonaws.com:80",
        "kms.us-east-1.amazonaws.com:443",
        "KMS.eu-central-1.amazonaws.com:443",
        "169.254.169.254:80",
        "kms.eu-central-1.amazonaws.com:443\0",
    ] {
        let (mut line, _) = stage.enclave.accept().await.expect("a line");
        assert_eq!(ask(&mut line, name).await, NOT_ALLOWED, "{name}");
    }
    assert!(timeout(Duration::from_millis(100), stage.kms.accept()).await.is_err());
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_unreachable() {
    let stage = stage().await;
    drop(stage.kms);
    let (mut line, _) = stage.enclave.accept().await.expect("a line");
    assert_eq!(ask(&mut line, NAME).await, UNREACHABLE);
}
