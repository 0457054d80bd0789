//! What KMS says of the key itself: its description, its policy, its grants. Read over the enclave's
//! own TLS, so the host can withhold it and not change it.

use super::{DEADLINE, Kms, KmsError, classify, patiently};
use aws_sdk_kms::types::KeyMetadata;

/// The one name that a key's policy can have (KMS API reference, GetKeyPolicy).
const POLICY_NAME: &str = "default";

/// What KMS said of the key at one moment.
#[derive(Clone, Debug)]
pub struct KeyDescription {
    /// DescribeKey's answer, which is about this key.
    pub metadata: KeyMetadata,
    /// The key policy's text, not understood yet.
    pub policy: String,
    /// Whether there is a grant, or may be one on a further page.
    pub has_grants: bool,
}

impl Kms {
    /// Reads the key's description, policy and grants. Attestation cannot be asked of these calls,
    /// so the key's policy must allow them to the appliance's role.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn describe(&self) -> Result<KeyDescription, KmsError> {
        patiently(|| async {
            tokio::time::timeout(DEADLINE, self.describe_once())
                .await
                .map_err(|_| KmsError::Unreachable)?
        })
        .await
    }

    async fn describe_once(&self) -> Result<KeyDescription, KmsError> {
        let key = self.key.as_str();
        let answer = self.client.describe_key().key_id(key).send();
        let metadata = answer.await.map_err(|e| classify(&e))?.key_metadata;
        let metadata = metadata
            .filter(|metadata| metadata.arn() == Some(key))
            .ok_or(KmsError::Rejected("the description is another key's"))?;
        let answer = self.client.get_key_policy().key_id(key).policy_name(POLICY_NAME).send();
        let policy = answer.await.map_err(|e| classify(&e))?.policy;
        let policy = policy.ok_or(KmsError::Rejected("no key policy"))?;
        // One is as bad as many, and a page that says that there are more says it too.
        let answer = self.client.list_grants().key_id(key).limit(1).send();
        let answer = answer.await.map_err(|e| classify(&e))?;
        let has_grants = !answer.grants().is_empty() || answer.truncated();
        Ok(KeyDescription { metadata, policy, has_grants })
    }
}
