//! `nitro-signer proxy` as its own process before the server: what tools without a certificate see.

use crate::stage::Stage;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

/// A proxy that ends with its test.
struct Proxy {
    process: Child,
    /// What it said when it listened.
    said: String,
}

impl Proxy {
    async fn start(stack: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_nitro-signer"))
            .arg("--stack")
            .arg(stack)
            .arg("proxy")
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let line = output.read_line(&mut said);
        tokio::time::timeout(Duration::from_secs(20), line).await.unwrap().unwrap();
        Self { process, said }
    }

    /// The address in what it said.
    fn address(&self) -> &str {
        self.said.split_whitespace().next().unwrap().strip_prefix("http://").unwrap()
    }

    async fn end(mut self) {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        assert!(self.process.wait().await.unwrap().success());
    }
}

fn stack(stage: &Stage) -> PathBuf {
    stage.store().with_file_name("stack.json")
}

/// A stack file that a command takes a key for proofs from.
fn operators_stack(stage: &Stage) -> PathBuf {
    let mut named: Value = serde_json::from_slice(&std::fs::read(stack(stage)).unwrap()).unwrap();
    let path = |name: &str| stage.store().with_file_name(name);
    std::fs::write(path("operator.key"), "46".repeat(32)).unwrap();
    named["client_proof_key"] = json!(path("operator.key"));
    named["manifest"] = json!(path("manifest.cbor"));
    std::fs::write(path("operators-stack.json"), named.to_string()).unwrap();
    path("operators-stack.json")
}

async fn post<S>(stream: S, path: &str, header: (&str, &str), body: &Value) -> (u16, Value)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connecting = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connecting.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(path).header(header.0, header.1);
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn call(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": [] })
}

#[tokio::test]
async fn tools_without_a_certificate_call_through_the_proxy() {
    let mut stage = Stage::ready().await;
    // It names the operator's key, too, which is not for whoever comes here.
    let stack = operators_stack(&stage);
    let proxy = Proxy::start(&stack, &["--listen", "127.0.0.1:0", "--chain", "5"]).await;
    assert!(proxy.said.contains("adds no client proofs"), "{}", proxy.said);
    let connect = || async { TcpStream::connect(proxy.address()).await.unwrap() };
    let here = ("host", "localhost");

    let (status, answer) = post(connect().await, "/", here, &call("eth_accounts")).await;
    assert_eq!((status, &answer["result"]), (200, &json!([crate::FROM])), "{answer}");
    let (_, answer) = post(connect().await, "/", here, &call("eth_chainId")).await;
    assert_eq!(answer["result"], "0x5");
    let (_, answer) = post(connect().await, "/chain/6", here, &call("eth_chainId")).await;
    assert_eq!(answer["result"], "0x6");
    let sign = json!({
        "jsonrpc": "2.0", "id": 5, "method": "eth_sign", "params": [crate::FROM, "0x48"],
    });
    post(connect().await, "/", here, &sign).await;
    assert_eq!(stage.signed().2, 0, "is not proved");
    let asked = stage.asked();
    let listed = asked.iter().find(|a| a.request == "ListKeys").expect("was asked");
    assert_eq!(listed.asserted.as_deref(), Some("bot.example"));

    let (status, _) =
        post(connect().await, "/", ("host", "rebound.example"), &call("eth_accounts")).await;
    assert_eq!(status, 401);

    stage.stop().await;
    let (status, answer) = post(connect().await, "/", here, &call("eth_accounts")).await;
    assert_eq!((status, &answer["error"]["data"]["code"]), (200, &json!("link_down")), "{answer}");
    assert_eq!(answer["id"], 5);
    proxy.end().await;
}

#[tokio::test]
async fn the_proxy_proves_each_call_that_signs() {
    let stage = Stage::ready().await;
    let key = stage.store().with_file_name("proof.key");
    std::fs::write(&key, "46".repeat(32)).unwrap();
    let manifest = stage.store().with_file_name("manifest.cbor");
    let (key, manifest) = (key.to_str().unwrap(), manifest.to_str().unwrap());
    let arguments =
        ["--listen", "127.0.0.1:0", "--client-key", key, "--manifest", manifest, "--chain", "5"];
    let proxy = Proxy::start(&stack(&stage), &arguments).await;
    let address = "address 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
    assert!(proxy.said.contains(address), "{}", proxy.said);
    let call = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params });
    let transaction = json!({
        "from": crate::FROM, "to": crate::FROM, "nonce": "0x1", "gas": "0x5208", "gasPrice": "0x1",
    });
    let sign = call("eth_sign", json!([crate::FROM, "0x48"]));
    for (body, name) in [
        (sign.clone(), "SignMessage"),
        (call("eth_signTransaction", json!([transaction])), "SignTransaction"),
        (json!([call("eth_accounts", json!([])), sign]), "SignMessage"),
    ] {
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        let (status, answer) = post(stream, "/", ("host", "localhost"), &body).await;
        assert_eq!(status, 200, "{answer}");
        let (signed, _, proofs) = stage.signed();
        assert_eq!((signed, proofs), (name, 1), "{answer}");
    }
    proxy.end().await;
}

#[tokio::test]
async fn a_socket_serves_its_owner_and_is_removed_at_the_end() {
    let stage = Stage::ready().await;
    let path = stage.store().with_file_name("proxy.sock");
    let listen = format!("unix:{}", path.display());
    let proxy = Proxy::start(&stack(&stage), &["--listen", &listen]).await;
    let stream = UnixStream::connect(&path).await.unwrap();
    let (status, answer) = post(stream, "/chain/9", ("host", "any"), &call("eth_chainId")).await;
    assert_eq!((status, &answer["result"]), (200, &json!("0x9")), "{answer}");
    proxy.end().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn another_address_than_loopback_is_no_place_to_listen() {
    let stage = Stage::new().await;
    assert_eq!(stage.command(&["proxy", "--listen", "0.0.0.0:0"]).await, 2);
    assert_eq!(stage.command(&["proxy", "--listen", "unix:"]).await, 2);
}
