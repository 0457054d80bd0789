//! `key-policy lint`: whether a KMS key is closed to everybody but listed measurement sets.

mod lint;
mod live;
mod report;
mod sets;

use super::output::{Failure, Report};

/// The KMS key's policy: prove whom it lets in.
#[derive(clap::Subcommand)]
pub(super) enum KeyPolicy {
    Lint(Box<lint::Lint>),
}

impl KeyPolicy {
    pub(super) async fn run(self, json: bool) -> Result<Report, Failure> {
        match self {
            Self::Lint(lint) => lint.run(json).await,
        }
    }
}
