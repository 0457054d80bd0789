//! What does a parent get that lies to the command line? A proxy with the parent's own certificate
//! changes its answers; `key create` must print no address that the enclave did not attest, and
//! `sign transaction` no signature over anything but what was asked.

use nitro_signer_tests::stack::{Stack, StackFile};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");

/// What the proxy does to an answer's body; the length must stay.
type Lie = Arc<Mutex<Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>>>;

#[tokio::test(flavor = "multi_thread")]
async fn no_lie_reaches_the_operator_as_truth() {
    let dir = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(dir.path(), Path::new(PROGRAM)).await.expect("the stack starts");
    stack.save(&stack.file, "honest.json").expect("is written");
    let honest = dir.path().join("honest.json");
    let created = cli(&honest, &["vault", "create"], None);
    assert!(created.status.success(), "{}", errors(&created));

    let lie: Lie = Arc::new(Mutex::new(Box::new(|body| body)));
    let url = serve_lies(&stack.file, lie.clone()).await;
    let lied_to = StackFile { url, ..stack.file.clone() };
    let lied_to = stack.save(&lied_to, "lied-to.json").expect("is written");
    let tell = |new: Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>| *lie.lock().expect("lives") = new;

    // Through the proxy, the truth is believed.
    let answers = Arc::new(Mutex::new(Vec::new()));
    let kept = answers.clone();
    tell(Box::new(move |body| {
        kept.lock().expect("lives").push(body.clone());
        body
    }));
    let created = cli(&lied_to, &["key", "create"], None);
    assert!(created.status.success(), "{}", errors(&created));
    let address = json(&created)["address"].as_str().expect("an address").to_owned();
    let earlier = answers.lock().expect("lives").last().cloned().expect("an answer was seen");

    // Another address in its place.
    tell(Box::new(|body| swap_hex_after(body, b"\"address\":\"0x")));
    nothing_shown(&cli(&lied_to, &["key", "create"], None));
    // One byte of the claims or of the document.
    for field in [b"\"claims\":\"".as_slice(), b"\"document\":\"", b"\"record\":\""] {
        tell(Box::new(move |body| swap_base64_after(body, field)));
        nothing_shown(&cli(&lied_to, &["key", "create"], None));
    }
    // An honest answer, but to an earlier question.
    tell(Box::new(move |_| earlier.clone()));
    nothing_shown(&cli(&lied_to, &["key", "create"], None));

    // A signature that is not over what was asked, and one that is no signature.
    let transaction = transaction(&address);
    tell(Box::new(|body| body));
    let signed = cli(&lied_to, &["sign", "transaction", "-"], Some(&transaction));
    assert!(signed.status.success(), "{}", errors(&signed));
    tell(Box::new(|body| swap_hex_after(body, b"\"raw\":\"0x")));
    let lied = cli(&lied_to, &["sign", "transaction", "-"], Some(&transaction));
    assert_eq!(lied.status.code(), Some(1), "{}", errors(&lied));
    assert!(!String::from_utf8_lossy(&lied.stdout).contains("raw"));
}

fn nothing_shown(output: &Output) {
    // 1 not what was asked for, 3 malformed, 4 chain or signature; 7 would be a broken proxy.
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 3 | 4)), "{code:?}: {}", errors(output));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(!shown.contains("0x"), "something was shown: {shown}");
}

/// Changes the last digit of the hex that follows the mark.
fn swap_hex_after(mut body: Vec<u8>, mark: &[u8]) -> Vec<u8> {
    if let Some(start) = find(&body, mark) {
        let digits = body[start..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        let last = &mut body[start + digits - 1];
        *last = if *last == b'0' { b'1' } else { b'0' };
    }
    body
}

/// Changes one character in the middle of the base64 that follows the mark.
fn swap_base64_after(mut body: Vec<u8>, mark: &[u8]) -> Vec<u8> {
    if let Some(start) = find(&body, mark) {
        let length = body[start..].iter().take_while(|c| **c != b'"').count();
        let middle = &mut body[start + length / 2];
        *middle = if *middle == b'A' { b'B' } else { b'A' };
    }
    body
}

fn find(body: &[u8], mark: &[u8]) -> Option<usize> {
    body.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len())
}

fn transaction(from: &str) -> String {
    serde_json::json!({
        "from": from, "to": "0x1111111111111111111111111111111111111111", "type": "0x2",
        "chainId": "0x7a69", "nonce": "0x1", "gas": "0x5208", "maxFeePerGas": "0x2",
        "maxPriorityFeePerGas": "0x1", "value": "0x1", "data": "0x",
    })
    .to_string()
}

fn cli(stack: &Path, arguments: &[&str], input: Option<&str>) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(["cli", "--json", "--stack"])
        .arg(stack)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command line starts");
    if let (Some(input), Some(pipe)) = (input, child.stdin.as_mut()) {
        pipe.write_all(input.as_bytes()).expect("takes its input");
    }
    child.wait_with_output().expect("ends")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("prints JSON")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server with the parent's certificate that passes requests on and lies about the answers.
async fn serve_lies(file: &StackFile, lie: Lie) -> String {
    let dir = file.ca.parent().expect("is a file in the stack's folder").to_owned();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pem = |name: &str| std::fs::read(dir.join(name)).expect("the stack wrote it");
    let certificates = |name: &str| vec![CertificateDer::from_pem_slice(&pem(name)).expect("PEM")];
    let key = |name: &str| PrivateKeyDer::from_pem_slice(&pem(name)).expect("PEM");
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("has versions")
        .with_no_client_auth()
        .with_single_cert(certificates("server.pem"), key("server.key"))
        .expect("fits");
    let mut roots = RootCertStore::empty();
    roots.add(certificates("ca.pem").remove(0)).expect("is a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("has versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("client.pem"), key("client.key"))
        .expect("fits");
    let (acceptor, connector) =
        (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("is bound"));
    let real = file.url.trim_start_matches("https://").to_owned();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            let mut near = acceptor.accept(stream).await?;
            let name = ServerName::try_from("localhost").expect("is a name");
            let far = TcpStream::connect(&real).await?;
            let mut far = connector.connect(name, far).await?;
            let request = read_message(&mut near).await?;
            far.write_all(&[request.0, request.1].concat()).await?;
            far.flush().await?;
            let (head, body) = read_message(&mut far).await?;
            let body = (lie.lock().expect("lives"))(body);
            let head = with_length(&head, body.len());
            near.write_all(&[head, body].concat()).await?;
            near.shutdown().await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), io::Error>(())
    });
    url
}

/// One HTTP/1.1 message with a content length: its head and its body.
async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .and_then(|l| l.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((head, body))
}

fn with_length(head: &[u8], length: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let kept = text.lines().filter(|l| {
        let l = l.to_ascii_lowercase();
        !l.is_empty() && !l.starts_with("content-length:") && !l.starts_with("connection:")
    });
    let mut head: String = kept.flat_map(|l| [l, "\r\n"]).collect();
    head.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
    head.into_bytes()
}
