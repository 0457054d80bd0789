//! The names that AWS knows: the actions on KMS keys, what each is to us, and the condition keys.
//!
//! Source: service authorization reference, "Actions, resources, and condition keys for AWS Key
//! Management Service"; IAM user guide, "AWS global condition context keys". A name that is not here
//! is not wrong for that, but nothing is known of when a request carries it.

/// What an action would give to whoever may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// The vault's secret, or a vault of the doer's making.
    GetsIn,
    /// A way to get in later.
    MakesItSo,
}

/// An action that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// As AWS writes it.
    pub(super) name: &'static str,
    pub(super) danger: Danger,
    /// Whether KMS takes an attestation document with it (KMS developer guide, "Cryptographic
    /// attestation support in AWS KMS"); without one, no attestation key is ever present.
    pub(super) attestable: bool,
    /// Whether a grant can give it (KMS API reference, CreateGrant, Operations).
    pub(super) grantable: bool,
}

const fn action(name: &'static str, danger: Danger, attestable: bool, grantable: bool) -> Action {
    Action { name, danger, attestable, grantable }
}

/// Every action by which somebody gets in, plants something, or makes that possible.
pub(super) const DANGEROUS: [Action; 14] = [
    action("kms:Decrypt", Danger::GetsIn, true, true),
    action("kms:Encrypt", Danger::GetsIn, false, true),
    action("kms:ReEncryptFrom", Danger::GetsIn, false, true),
    action("kms:ReEncryptTo", Danger::GetsIn, false, true),
    action("kms:GenerateDataKey", Danger::GetsIn, true, true),
    action("kms:GenerateDataKeyWithoutPlaintext", Danger::GetsIn, false, true),
    action("kms:GenerateDataKeyPair", Danger::GetsIn, true, true),
    action("kms:GenerateDataKeyPairWithoutPlaintext", Danger::GetsIn, false, true),
    action("kms:DeriveSharedSecret", Danger::GetsIn, true, true),
    action("kms:ImportKeyMaterial", Danger::GetsIn, false, false),
    action("kms:CreateGrant", Danger::MakesItSo, false, true),
    action("kms:PutKeyPolicy", Danger::MakesItSo, false, false),
    action("kms:ReplicateKey", Danger::MakesItSo, false, false),
    action("kms:UpdatePrimaryRegion", Danger::MakesItSo, false, false),
];

/// The other actions of KMS.
const HARMLESS: [&str; 42] = [
    "kms:CancelKeyDeletion",
    "kms:ConnectCustomKeyStore",
    "kms:CreateAlias",
    "kms:CreateCustomKeyStore",
    "kms:CreateKey",
    "kms:DeleteAlias",
    "kms:DeleteCustomKeyStore",
    "kms:DeleteImportedKeyMaterial",
    "kms:DescribeCustomKeyStores",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:DisconnectCustomKeyStore",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GenerateMac",
    "kms:GenerateRandom",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetParametersForImport",
    "kms:GetPublicKey",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListKeys",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:Sign",
    "kms:SynchronizeMultiRegionKey",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateCustomKeyStore",
    "kms:UpdateKeyDescription",
    "kms:Verify",
    "kms:VerifyMac",
];

/// The actions that stop or destroy the key: no way in, but no way back either.
pub(super) const DESTRUCTIVE: [&str; 4] = [
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:DeleteImportedKeyMaterial",
    "kms:RevokeGrant",
];

/// Every action of KMS.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    DANGEROUS.iter().map(|action| action.name).chain(HARMLESS)
}

/// Whether KMS takes an attestation document with the action.
pub(super) fn is_attestable(action: &str) -> bool {
    DANGEROUS.iter().any(|known| known.attestable && known.name == action)
        || action == "kms:GenerateRandom"
}

/// How the keys begin that come from an attestation document, in lower case.
const ATTESTATION: &str = "kms:recipientattestation:";

/// PCR0's other name.
const IMAGE_SHA384: &str = "kms:recipientattestation:imagesha384";

/// The register of a Nitro enclave's document that a condition key, in lower case, names.
pub(super) fn register(key: &str) -> Option<u8> {
    if key == IMAGE_SHA384 {
        return Some(0);
    }
    let digits = key.strip_prefix(ATTESTATION)?.strip_prefix("pcr")?;
    let index = digits.parse::<u8>().ok().filter(|index| *index < 32)?;
    (index.to_string() == digits).then_some(index)
}

/// The keys under which a register's value comes, in lower case.
pub(super) fn register_keys(index: u8) -> Vec<String> {
    let own = format!("{ATTESTATION}pcr{index}");
    if index == 0 { vec![own, IMAGE_SHA384.to_owned()] } else { vec![own] }
}

/// Whether the key, in lower case, comes from an attestation document of any kind.
pub(super) fn is_attestation(key: &str) -> bool {
    key.starts_with(ATTESTATION)
}

/// Whether AWS knows this condition key, which is in lower case.
pub(super) fn is_known(key: &str) -> bool {
    let tpm = key.strip_prefix(ATTESTATION).and_then(|rest| rest.strip_prefix("nitrotpmpcr"));
    let tpm = tpm.and_then(|digits| Some((digits, digits.parse::<u8>().ok()?)));
    KEYS.contains(&key)
        || register(key).is_some()
        || tpm.is_some_and(|(digits, index)| index < 24 && index.to_string() == digits)
        || KEYS_WITH_NAMES.iter().any(|start| key.len() > start.len() && key.starts_with(start))
}

/// Condition keys that end in a name of the user's.
const KEYS_WITH_NAMES: [&str; 4] =
    ["aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "kms:encryptioncontext:"];

/// Condition keys of every service, and of KMS.
const KEYS: [&str; 93] = [
    "aws:assumedroot",
    "aws:calledvia",
    "aws:calledviaawsmcp",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:chatbotsourcearn",
    "aws:currenttime",
    "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:ismcpserviceaction",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceidentity",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tagkeys",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:userid",
    "aws:username",
    "aws:viaawsmcpservice",
    "aws:viaawsservice",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "aws:vpcsourceip",
    "ec2:roledelivery",
    "ec2:sourceinstancearn",
    "glue:credentialissuingservice",
    "glue:roleassumedby",
    "identitystore:userid",
    "kms:bypasspolicylockoutsafetycheck",
    "kms:calleraccount",
    "kms:customermasterkeyspec",
    "kms:customermasterkeyusage",
    "kms:datakeypairspec",
    "kms:encryptionalgorithm",
    "kms:encryptioncontextkeys",
    "kms:expirationmodel",
    "kms:grantconstraintsourcearn",
    "kms:grantconstrainttype",
    "kms:granteeprincipal",
    "kms:granteeserviceprincipal",
    "kms:grantisforawsresource",
    "kms:grantoperations",
    "kms:keyagreementalgorithm",
    "kms:keyorigin",
    "kms:keyspec",
    "kms:keyusage",
    "kms:macalgorithm",
    "kms:messagetype",
    "kms:multiregion",
    "kms:multiregionkeytype",
    "kms:primaryregion",
    "kms:reencryptonsamekey",
    "kms:replicaregion",
    "kms:requestalias",
    "kms:resourcealiases",
    "kms:retiringprincipal",
    "kms:retiringserviceprincipal",
    "kms:rotationperiodindays",
    "kms:schedulekeydeletionpendingwindowindays",
    "kms:signingalgorithm",
    "kms:trailingdayswithoutkeyusage",
    "kms:validto",
    "kms:viaservice",
    "kms:wrappingalgorithm",
    "kms:wrappingkeyspec",
    "lambda:sourcefunctionarn",
    "ssm:sourceinstancearn",
];
