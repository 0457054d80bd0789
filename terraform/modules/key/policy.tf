# The key's policy, in the one form that the enclave reads and `nitro-signer key-policy lint` proves.
# Whatever is changed here, the enclave refuses until it is taught.
#
# An Allow for each measurement set ties image and manifest together: in one statement two values of
# PCR0 and two of PCR16 would allow four pairs. A Deny for each register, because several condition
# keys in one statement deny only where all of them differ; a call without attestation has no such
# key, and then StringNotEquals is true and denies it too. The Deny statements stop grants as well,
# which cannot carry conditions on attestation.
#
# Sources: AWS KMS Developer Guide, "Key policies in AWS KMS" and "Condition keys for AWS Nitro
# Enclaves"; IAM User Guide, "IAM JSON policy elements: Condition operators".

locals {
  context = {
    "kms:EncryptionContext:app"        = "nitro-signer"
    "kms:EncryptionContext:version"    = "1"
    "kms:EncryptionContext:deployment" = var.deployment
    "kms:EncryptionContext:vault"      = var.vault
    "kms:EncryptionContext:purpose"    = "vault"
    "kms:EncryptionContext:share"      = "0"
  }

  administration = {
    Sid       = "Administration"
    Effect    = "Allow"
    Principal = { AWS = sort(var.administrators) }
    Action = concat(
      [
        "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:ListGrants",
        "kms:ListResourceTags", "kms:GetKeyRotationStatus", "kms:ListKeyRotations",
        "kms:PutKeyPolicy", "kms:UpdateKeyDescription", "kms:EnableKeyRotation", "kms:EnableKey",
        "kms:DisableKey", "kms:TagResource", "kms:UntagResource", "kms:CreateAlias",
        "kms:UpdateAlias", "kms:DeleteAlias", "kms:ScheduleKeyDeletion",
        "kms:CancelKeyDeletion", "kms:RevokeGrant",
      ],
      var.multi_region ? ["kms:ReplicateKey"] : [],
      var.imported_material ? ["kms:GetParametersForImport", "kms:ImportKeyMaterial", "kms:DeleteImportedKeyMaterial"] : [],
    )
    Resource = "*"
  }

  # A statement that has nobody to name is left out.
  break_glass = [
    for principals in [sort(var.break_glass)] : {
      Sid       = "BreakGlass"
      Effect    = "Allow"
      Principal = { AWS = principals }
      Action    = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"]
      Resource  = "*"
      Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } }
    } if length(principals) > 0
  ]

  audit = [
    for principals in [sort(var.auditors)] : {
      Sid       = "Audit"
      Effect    = "Allow"
      Principal = { AWS = principals }
      Action = [
        "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:ListGrants",
        "kms:ListResourceTags", "kms:GetKeyRotationStatus", "kms:ListKeyRotations",
      ]
      Resource = "*"
    } if length(principals) > 0
  ]

  # These three cannot carry an attestation document; the enclave judges the key by them.
  appliance_reads = {
    Sid       = "ApplianceReads"
    Effect    = "Allow"
    Principal = { AWS = sort(var.appliance_roles) }
    Action    = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"]
    Resource  = "*"
  }

  measured = [
    for i, set in local.sets : {
      Sid       = "Measured${i}"
      Effect    = "Allow"
      Principal = { AWS = sort(var.appliance_roles) }
      Action    = concat(["kms:Decrypt"], var.vault_creation ? ["kms:GenerateDataKey"] : [])
      Resource  = "*"
      Condition = {
        StringEqualsIgnoreCase      = { for register, value in set : "kms:RecipientAttestation:${register}" => value }
        StringEquals                = local.context
        "ForAllValues:StringEquals" = { "kms:EncryptionContextKeys" = ["app", "version", "deployment", "vault", "purpose", "share"] }
      }
    }
  ]

  only = [
    for register in local.registers : {
      Sid       = "Only${register}"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
      Condition = {
        StringNotEqualsIgnoreCase = {
          "kms:RecipientAttestation:${register}" = sort(distinct([for set in local.sets : lookup(set, register, "")]))
        }
      }
    }
  ]

  closed = [
    for sets in [local.sets] : {
      Sid       = "Closed"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
    } if length(sets) == 0
  ]

  nobody = {
    Sid       = "Nobody"
    Effect    = "Deny"
    Principal = "*"
    Action = concat(
      [
        "kms:CreateGrant", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo",
        "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyPair",
        "kms:GenerateDataKeyPairWithoutPlaintext", "kms:DeriveSharedSecret",
        "kms:UpdatePrimaryRegion",
      ],
      var.multi_region ? [] : ["kms:ReplicateKey"],
      var.imported_material ? [] : ["kms:ImportKeyMaterial"],
    )
    Resource = "*"
  }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.administration], local.break_glass, local.audit, [local.appliance_reads],
      local.measured, local.only, local.closed, [local.nobody],
    )
  })
}
