"""Where the development KMS and moto answer differently, each with the reason.

A row is (calls, fact, moto's value, ours, reason); calls and fact may have wildcards. A difference
without a row fails the run, and so does a row without a difference. A call that one refuses and the
other does not, or not with the same name, differs in its outcome alone. "Model" is the list of
members in botocore's model of KMS, and "reference" AWS's KMS API reference.
"""

from observation import ABSENT

ID_FOR_ARN = "moto repeats the id that was asked with; the reference says key ARN"
NOT_ANSWERED = "moto leaves it out; model and reference have it"
NO_STATES = "moto does not look at the key's state; the developer guide's table of key states does"
ASYMMETRIC_USE = "the reference: InvalidKeyUsageException if key type or algorithm does not fit"

DIFFERENCES = [
    # ---- key metadata
    ("CreateKey: plain", "KeyMetadata.KeyUsage", ABSENT, "ENCRYPT_DECRYPT",
     "moto repeats what was asked for; the reference has a default. The calls after this one ask for it"),
    ("CreateKey: plain", "KeyMetadata.MultiRegion", ABSENT, False,
     "moto repeats what was asked for; the reference has a default. The calls after this one ask for it"),
    ("CreateKey: plain", "KeyMetadata.SigningAlgorithms", "0 items", ABSENT,
     "the reference: present only when the KeyUsage is SIGN_VERIFY"),
    ("DescribeKey: external", "KeyMetadata.Enabled", True, False,
     "moto gives a key of origin EXTERNAL material of its own; KMS waits for the import"),
    ("DescribeKey: external", "KeyMetadata.KeyState", "Enabled", "PendingImport",
     "moto gives a key of origin EXTERNAL material of its own; KMS waits for the import"),
    ("CreateKey: signing without use", "outcome", "200", "400 ValidationException",
     "the reference: KeyUsage is required for asymmetric KMS keys"),
    # ---- states
    ("*: disabled key", "outcome", "200", "400 DisabledException", NO_STATES),
    ("*: pending deletion", "outcome", "200", "400 KMSInvalidStateException", NO_STATES),
    ("CancelKeyDeletion: not pending", "outcome", "200", "400 KMSInvalidStateException", NO_STATES),
    ("DescribeKey: cancelled deletion", "KeyMetadata.Enabled", True, False,
     "both say Disabled as KeyState; moto forgets that Enabled says the same"),
    ("ScheduleKeyDeletion: in 3 days", "outcome", "200", "400 ValidationException",
     "the reference: a value between 7 and 30"),
    ("ScheduleKeyDeletion: *", "KeyId", "DELETED", "arn:aws:kms:us-east-1:ACCOUNT:key/DELETED", ID_FOR_ARN),
    ("ScheduleKeyDeletion: *", "KeyState", ABSENT, "PendingDeletion", NOT_ANSWERED),
    ("ScheduleKeyDeletion: *", "PendingWindowInDays", ABSENT, 7, NOT_ANSWERED),
    ("CancelKeyDeletion: *", "KeyId", "DELETED", "arn:aws:kms:us-east-1:ACCOUNT:key/DELETED", ID_FOR_ARN),
    # ---- policies and aliases
    ("GetKeyPolicy: *", "PolicyName", ABSENT, "default", NOT_ANSWERED),
    ("CreateAlias: of AWS", "outcome", "200", "400 NotAuthorizedException",
     "moto refuses only the names that AWS uses today; the reference keeps all of alias/aws/ for AWS"),
    ("ListAliases: *", "Aliases.0.CreationDate", ABSENT, "time", NOT_ANSWERED),
    ("ListAliases: *", "Aliases.0.LastUpdatedDate", ABSENT, "time", NOT_ANSWERED),
    # ---- cryptography, and every mention of the material
    ("*crypt: *", "EncryptionAlgorithm", ABSENT, "SYMMETRIC_DEFAULT", NOT_ANSWERED),
    ("ReEncrypt: *", "*EncryptionAlgorithm", ABSENT, "SYMMETRIC_DEFAULT", NOT_ANSWERED),
    ("*: *", "*KeyMaterialId", ABSENT, "64 hex digits", NOT_ANSWERED),
    ("Decrypt: another key", "outcome", "400 AccessDeniedException", "400 IncorrectKeyException",
     "the reference: IncorrectKeyException if KeyId names another key than the ciphertext's"),
    # ---- grants
    ("CreateGrant: *", "GrantId", "8 hex digits", "64 hex digits",
     "moto's ids are shorter than those in AWS's examples"),
    ("List*Grants: *", "Grants.0.GrantId", "8 hex digits", "64 hex digits",
     "moto's ids are shorter than those in AWS's examples"),
    ("List*Grants: *", "Grants.0.CreationDate", ABSENT, "time", NOT_ANSWERED),
    ("List*Grants: *", "Grants.0.IssuingAccount", ABSENT, "arn:aws:iam::ACCOUNT:root", NOT_ANSWERED),
    ("List*Grants: *", "Grants.0.KeyId", "GRANTED", "arn:aws:kms:us-east-1:ACCOUNT:key/GRANTED",
     "AWS's examples have the key's ARN"),
    ("CreateGrant: of another operation", "outcome", "200", "400 ValidationException",
     "moto takes any text for an operation; the model lists them"),
    # ---- rotation
    ("GetKeyRotationStatus: *", "KeyId", ABSENT, "ROTATED", NOT_ANSWERED),
    ("GetKeyRotationStatus: on", "NextRotationDate", ABSENT, "time", NOT_ANSWERED),
    ("GetKeyRotationStatus: on", "RotationPeriodInDays", ABSENT, 365, NOT_ANSWERED),
    ("ListKeyRotations: *", "Rotations.*.KeyMaterialState", ABSENT, "CURRENT", NOT_ANSWERED),
    ("ListKeyRotations: *", "Rotations.*.KeyMaterialState", ABSENT, "NON_CURRENT", NOT_ANSWERED),
    # ---- signatures
    ("GetPublicKey: ECC_NIST_P256", "KeyId", "SIGNING ECC_NIST_P256",
     "arn:aws:kms:us-east-1:ACCOUNT:key/SIGNING ECC_NIST_P256", ID_FOR_ARN),
    ("GetPublicKey: ECC_SECG_P256K1", "KeyId", "SIGNING ECC_SECG_P256K1",
     "arn:aws:kms:us-east-1:ACCOUNT:key/SIGNING ECC_SECG_P256K1", ID_FOR_ARN),
    ("GetPublicKey: ECC_NIST_P256", "KeySpec", ABSENT, "ECC_NIST_P256", NOT_ANSWERED),
    ("GetPublicKey: ECC_SECG_P256K1", "KeySpec", ABSENT, "ECC_SECG_P256K1", NOT_ANSWERED),
    ("GetPublicKey: symmetric", "outcome", "200", "400 UnsupportedOperationException",
     "a symmetric key has no public half; moto makes one up"),
    ("Verify: * bent", "outcome", "200", "400 KMSInvalidSignatureException",
     "the reference: a signature that does not verify is this error, never SignatureValid false"),
    ("Verify: * other message", "outcome", "200", "400 KMSInvalidSignatureException",
     "the reference: a signature that does not verify is this error, never SignatureValid false"),
    ("Verify: * digest of a raw signature", "SignatureValid", False, True,
     "moto hashes a DIGEST again; the reference: KMS skips the hashing step"),
    ("Sign: * short digest", "outcome", "200", "400 ValidationException",
     "moto hashes a DIGEST again; for KMS it has the length of the algorithm's hash"),
    ("Sign: * other algorithm", "outcome", "400 ValidationException", "400 InvalidKeyUsageException",
     ASYMMETRIC_USE),
    ("Sign: symmetric", "outcome", "400 ValidationException", "400 InvalidKeyUsageException", ASYMMETRIC_USE),
    ("Encrypt: * to encrypt", "outcome", "200", "400 InvalidKeyUsageException", ASYMMETRIC_USE),
    # ---- regions
    ("ReplicateKey: *", "ReplicaKeyMetadata.MultiRegionConfiguration.MultiRegionKeyType", "PRIMARY", "REPLICA",
     "moto takes the two for each other"),
    ("DescribeKey: primary with replica", "KeyMetadata.MultiRegionConfiguration.MultiRegionKeyType",
     "REPLICA", "PRIMARY", "moto takes the two for each other"),
    ("ReplicateKey: *", "ReplicaTags", ABSENT, "0 items", "AWS's example has an empty list"),
    ("Decrypt: by the replica", "outcome", "400 AccessDeniedException", "200",
     "moto's replicas have no material in common with their primary keys"),
    # ---- mistakes
    ("*: member missing", "outcome", "500 500", "400 ValidationException",
     "moto fails with its own traceback; KMS has a text for a member that must not be null"),
]
