//! The development KMS alone: for clients, Terraform and judges that need no enclave.
//!
//! Its keys, its event log and its credentials stay in its folder: started again there, it opens
//! what it sealed.

use super::{AccessKey, Outcome, write_secret};
use crate::deployment::{ACCOUNT, REGION};
use crate::kms::{DevelopmentKms, Options};
use crate::nsm::DevelopmentRoot;
use crate::process;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The region that replicas go to.
const FURTHER_REGION: &str = "eu-central-1";
/// Whom the account's IAM policies allow everything, as they do an administrator.
const ROOT: &str = "arn:aws:iam::000000000000:user/administrator";

/// `kms-client.json`: what a client needs. Paths are absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct KmsFile {
    pub kms_url: String,
    pub kms_ca: PathBuf,
    pub region: String,
    pub more_regions: Vec<String>,
    pub account: String,
    pub aws_access_key_id: String,
    pub aws_secret_access_key: String,
    pub trail: PathBuf,
}

/// Serves until asked to end.
///
/// # Errors
/// If it does not start.
pub async fn run_kms(dir: &Path) -> Outcome<()> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let whole = dir.join("kms-client.json");
    if whole.exists() {
        // Of one that was killed; whoever waits for the file waits for this one's.
        fs::remove_file(&whole)?;
    }
    let root = attestation_root(&dir)?;
    let administrator = administrator(&dir)?;
    let identities = vec![administrator.identity(ROOT, true)];
    let mut options = Options::new(REGION, ACCOUNT, identities, root.anchor());
    options.more_regions = vec![FURTHER_REGION.to_owned()];
    options.state = Some(dir.join("kms-state.json"));
    options.trail = Some(dir.join("trail.jsonl"));
    let kms = DevelopmentKms::start(options).await?;
    let ca = dir.join("kms-ca.pem");
    fs::write(&ca, kms.ca_pem())?;
    let file = KmsFile {
        kms_url: kms.url(),
        kms_ca: ca,
        region: REGION.to_owned(),
        more_regions: vec![FURTHER_REGION.to_owned()],
        account: ACCOUNT.to_owned(),
        aws_access_key_id: administrator.id,
        aws_secret_access_key: administrator.secret,
        trail: dir.join("trail.jsonl"),
    };
    let part = dir.join("kms-client.json.part");
    write_secret(&part, &serde_json::to_string_pretty(&file)?)?;
    fs::rename(part, &whole)?;
    println!("development KMS at {}; what a client needs: {}", kms.url(), whole.display());
    process::until_asked_to_end().await?;
    fs::remove_file(whole)?;
    Ok(())
}

/// The root of attestation documents that it believes: the one in its folder, or a new one.
pub(super) fn attestation_root(dir: &Path) -> Outcome<DevelopmentRoot> {
    let (certificate, key) = (dir.join("nsm-root.pem"), dir.join("nsm-root.key"));
    if certificate.exists() {
        return Ok(DevelopmentRoot::load(&certificate, &key)?);
    }
    let root = DevelopmentRoot::generate();
    root.save(&certificate, &key)?;
    Ok(root)
}

/// The administrator's access key: the one in its folder, or a new one.
fn administrator(dir: &Path) -> Outcome<AccessKey> {
    let path = dir.join("administrator.key");
    let mut key = AccessKey::new("ADMIN");
    match fs::read_to_string(&path) {
        Ok(secret) => key.secret = secret,
        Err(_) => write_secret(&path, &key.secret)?,
    }
    Ok(key)
}
