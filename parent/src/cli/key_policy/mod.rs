//! `key-policy`: whether a KMS key is closed to everybody but listed measurement sets, and the policy
//! by which it is.

mod lint;
mod live;
mod render;
mod report;
mod sets;

use super::output::{Failure, Report};

/// The KMS key's policy: write it, and prove whom it lets in.
#[derive(clap::Subcommand)]
pub(super) enum KeyPolicy {
    Lint(Box<lint::Lint>),
    Render(Box<render::Render>),
}

impl KeyPolicy {
    pub(super) async fn run(self, json: bool) -> Result<Report, Failure> {
        match self {
            Self::Lint(lint) => lint.run(json).await,
            Self::Render(render) => render.run(),
        }
    }
}
