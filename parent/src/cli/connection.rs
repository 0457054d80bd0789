//! How a command reaches the appliance: options, or a stack file that names everything.

use super::client::Client;
use super::output::{Failure, read_input};
use super::proof::ProofKey;
use serde::Deserialize;
use std::path::PathBuf;

const MAX_STACK: u64 = 65_536;

/// How to reach the appliance.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// The appliance's address, for example https://signer.example:8443.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    tls: Tls,
}

/// How to know the appliance, and how to be known by it.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Tls {
    /// The certificates that vouch for the appliance's own (PEM).
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// This client's certificate (PEM).
    #[arg(long, value_name = "PEM")]
    cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
}

/// The key by which a client proves itself to the enclave.
#[derive(clap::Args)]
pub(super) struct Prover {
    /// The secp256k1 key of a client in the manifest, in hex.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    client_key: Option<PathBuf>,
}

/// What a stack file names; further keys are other programs'.
#[derive(Default, Deserialize)]
pub(super) struct Stack {
    url: Option<String>,
    ca: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    client_proof_key: Option<PathBuf>,
    pub(super) manifest: Option<PathBuf>,
    pub(super) measurements: Option<PathBuf>,
    pub(super) nsm_root: Option<PathBuf>,
}

impl Stack {
    /// The stack file that the option or the environment names; an empty one if neither does.
    pub(super) fn find(option: Option<PathBuf>) -> Result<Self, Failure> {
        let named = option.or_else(|| std::env::var_os("NITRO_SIGNER_STACK").map(PathBuf::from));
        let Some(path) = named else { return Ok(Self::default()) };
        let text = read_input(&path, MAX_STACK)?;
        serde_json::from_slice(&text)
            .map_err(|e| Failure::usage(format!("{}: not a stack file: {e}", path.display())))
    }
}

impl Connection {
    /// The client these options, or else the stack file, describe.
    pub(super) fn client(&self, stack: &Stack) -> Result<Client, Failure> {
        self.tls.client(named("--url", self.url.as_ref().or(stack.url.as_ref()))?, stack)
    }
}

impl Tls {
    /// The client of the appliance at this address.
    pub(super) fn client(&self, url: &str, stack: &Stack) -> Result<Client, Failure> {
        let ca = named("--ca", self.ca.as_ref().or(stack.ca.as_ref()))?;
        let cert = named("--cert", self.cert.as_ref().or(stack.client_cert.as_ref()))?;
        let key = named("--key", self.key.as_ref().or(stack.client_key.as_ref()))?;
        Client::new(url, ca, cert, key)
    }
}

impl Prover {
    /// The key that the command line itself names. A stack file's is the operator's: it must not
    /// vouch for whatever other programs ask.
    pub(super) fn named(&self) -> Result<Option<ProofKey>, Failure> {
        self.client_key.as_ref().map(|path| ProofKey::load(path)).transpose()
    }

    /// The key, if one is named.
    pub(super) fn find(&self, stack: &Stack) -> Result<Option<ProofKey>, Failure> {
        let path = self.client_key.as_ref().or(stack.client_proof_key.as_ref());
        path.map(|path| ProofKey::load(path)).transpose()
    }

    /// The key, which must be named.
    pub(super) fn require(&self, stack: &Stack) -> Result<ProofKey, Failure> {
        let key = self.find(stack)?;
        key.ok_or_else(|| {
            Failure::usage("--client-key is needed: this action needs a client proof")
        })
    }
}

fn named<'a, T>(option: &str, value: Option<&'a T>) -> Result<&'a T, Failure> {
    value.ok_or_else(|| Failure::usage(format!("{option} is needed, or a --stack that names it")))
}
