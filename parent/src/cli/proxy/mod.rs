//! `proxy`: JSON-RPC for tools on this machine that have no client certificate and no proof to
//! give.
//!
//! Whoever reaches it signs as this client: so it listens on loopback or on a Unix socket of its
//! owner, and refuses what a web page could send. It changes nothing of a call but to add a proof
//! of it; it decides nothing, and what it cannot read it hands on as it stands, for the appliance
//! to refuse.

mod call;
mod door;
mod listen;

use super::client::{Client, LONGEST_REQUEST, NoAnswer};
use super::connection::{Connection, Prover, Stack};
use super::output::Failure;
use super::trust::ManifestFile;
use crate::http::{limited, read_body};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use call::{At, Proofs};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use hyper::body::Bytes;
use listen::Listen;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// How long a call may take: longer than the appliance is waited for, whose refusal arrives first.
const REQUEST_DEADLINE: Duration = LONGEST_REQUEST.saturating_add(Duration::from_secs(10));

/// Serve JSON-RPC to tools on this machine: each call is handed on with this client's certificate
/// and, if --client-key names a key, with a client proof.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer proxy --chain 1 --url https://signer.example:8443 --ca ca.pem --cert me.pem \\
    --key me.key
  nitro-signer proxy --chain 1 --client-key bot.key --stack target/dev/stack.json &
  cast rpc --rpc-url http://127.0.0.1:8545 eth_accounts

Served are POST / and POST /chain/ID. Any program of any user on this machine can reach a loopback
address: where that is too much, listen on unix:/PATH, which only its owner can open. Requests with
an Origin header, as web pages send them, and requests for another host are refused.

Proofs are made with the key that --client-key names, never with the one of a stack file: any tool
that reaches the proxy speaks with that key. Give the proxy one of its own.

A proof names the chain that is signed for: start with --chain, or let tools give chainId.")]
pub(super) struct Proxy {
    /// A loopback address with a port, or unix:/PATH.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8545")]
    listen: Listen,
    /// The chain that / serves; without it, the appliance's own.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    chain: Option<u64>,
    /// Add no client proofs even if a client key is named.
    #[arg(long)]
    without_proof: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    prover: Prover,
    #[command(flatten)]
    manifest: ManifestFile,
}

impl Proxy {
    /// Serves until SIGTERM or SIGINT.
    pub(super) async fn run(self, stack: &Stack) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::usage(e.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let client = self.connection.client(stack)?;
        let appliance = client.url();
        let proofs = self.proofs(stack)?;
        let listening = self.listen.bind().await?;
        // Whoever waits for this line and is gone is no reason to end.
        let adds = added(proofs.as_ref());
        let _ = writeln!(std::io::stdout(), "{listening} serves {appliance} and adds {adds}");
        let (stop, stopping) = watch::channel(false);
        let forwarder = Forwarder { upstream: Box::new(client), chain: self.chain, proofs };
        let door = listening.door();
        let serving = tokio::spawn(listening.serve(routes(forwarder, door), stopping));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // It ends by itself; a task that broke off has ended, too.
        let _ = serving.await;
        Ok(())
    }

    fn proofs(&self, stack: &Stack) -> Result<Option<Proofs>, Failure> {
        if self.without_proof {
            return Ok(None);
        }
        let Some(key) = self.prover.named()? else { return Ok(None) };
        let (_, manifest) = self.manifest.require(stack)?;
        Ok(Some(Proofs { key, manifest }))
    }
}

/// What is added to calls, in words.
fn added(proofs: Option<&Proofs>) -> String {
    proofs.map_or_else(
        || "no client proofs".to_owned(),
        |Proofs { key, .. }| {
            format!("client proofs of {} (address {})", key.public_key(), key.address())
        },
    )
}

/// What answers behind the proxy.
#[async_trait]
trait Upstream: Send + Sync {
    /// Posts one body.
    async fn post(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Zeroizing<Vec<u8>>>, NoAnswer>;
}

#[async_trait]
impl Upstream for Client {
    async fn post(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Zeroizing<Vec<u8>>>, NoAnswer> {
        self.send(Method::POST, path, body).await
    }
}

/// What every call is handed on with.
struct Forwarder {
    upstream: Box<dyn Upstream>,
    chain: Option<u64>,
    proofs: Option<Proofs>,
}

fn routes(forwarder: Forwarder, door: door::Door) -> Router {
    let routes = Router::new()
        .route("/", post(forward))
        .route("/chain/{id}", post(forward))
        .fallback(|| async { nothing_here(RefusalCode::NotFound) })
        .method_not_allowed_fallback(|| async { nothing_here(RefusalCode::MethodNotAllowed) })
        .with_state(Arc::new(forwarder));
    // The door stands before the limits: nothing of a stranger's body is received.
    limited(routes, REQUEST_DEADLINE)
        .layer(axum::middleware::from_fn_with_state(door, door::through))
}

fn nothing_here(code: RefusalCode) -> Response {
    let detail = "the proxy serves JSON-RPC by POST / and POST /chain/ID";
    refused(call::error(&serde_json::Value::Null, &Refusal::new(code, detail)), code)
}

async fn forward(State(forwarder): State<Arc<Forwarder>>, uri: Uri, body: Body) -> Response {
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(refusal) => return answer(call::error(&serde_json::Value::Null, &refusal)),
    };
    let (path, at) = forwarder.target(&uri);
    let body = match (&forwarder.proofs, at) {
        (Some(proofs), Some(at)) => Bytes::from(proofs.add(body, at)),
        _ => Bytes::from(body),
    };
    // Bytes share what they hold: the call is kept for its id.
    match forwarder.upstream.post(&path, body.clone()).await {
        Ok(answered) => pass_on(answered),
        Err(error) => answer(call::errors(&body, &no_answer(&error))),
    }
}

impl Forwarder {
    /// The path at the appliance, and what it says about the calls, if that is certain.
    fn target(&self, uri: &Uri) -> (String, Option<At>) {
        let path = match (uri.path(), self.chain) {
            ("/", Some(chain)) => format!("/chain/{chain}"),
            (path, _) => path.to_owned(),
        };
        let at = At::new(&path, uri.query());
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        (path + &query, at)
    }
}

fn no_answer(error: &NoAnswer) -> Refusal {
    use crate::exchange::ExchangeError;
    let code = match error {
        NoAnswer::Path => RefusalCode::MalformedRequest,
        NoAnswer::Exchange(ExchangeError::Deadline) => RefusalCode::Deadline,
        NoAnswer::Connect(_) | NoAnswer::Exchange(_) => RefusalCode::LinkDown,
    };
    Refusal::new(code, format!("the appliance gave the proxy no answer: {error}"))
}

/// The appliance's answer as it came.
fn pass_on(answered: http::Response<Zeroizing<Vec<u8>>>) -> Response {
    let (head, body) = answered.into_parts();
    let mut response = (head.status, body.to_vec()).into_response();
    let kind = head.headers.get(header::CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A JSON-RPC answer of the proxy's own.
fn answer(body: serde_json::Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// The same where HTTP says no, too.
fn refused(body: serde_json::Value, code: RefusalCode) -> Response {
    let mut response = answer(body);
    let status = StatusCode::from_u16(code.http_status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

#[cfg(test)]
mod tests;
