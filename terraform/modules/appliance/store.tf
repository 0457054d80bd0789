# The store: the vault and the sealed keys. It holds nothing that opens without the enclave, and its
# loss is the loss of the keys: versions are kept, nothing is overwritten, and the hosts may delete
# nothing. prevent_destroy stands; a deployment that really ends overrides it (README.md of module key).

locals {
  prefix    = "${var.deployment}/${var.vault}"
  log_group = "/nitro-signer/${var.deployment}/${var.vault}/metrics"
}

# The bucket's and the log's key. It has nothing to do with the vault's, which KMS gives to a measured
# enclave only.
resource "aws_kms_key" "store" {
  description                        = "nitro-signer: store of vault ${var.vault} of ${var.deployment}"
  enable_key_rotation                = true
  deletion_window_in_days            = 30
  bypass_policy_lockout_safety_check = false
  tags                               = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = sort(var.administrators) }
        Action = [
          "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:ListGrants",
          "kms:ListResourceTags", "kms:GetKeyRotationStatus", "kms:PutKeyPolicy",
          "kms:UpdateKeyDescription", "kms:EnableKeyRotation", "kms:EnableKey", "kms:DisableKey",
          "kms:TagResource", "kms:UntagResource", "kms:CreateAlias", "kms:UpdateAlias",
          "kms:DeleteAlias", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:RevokeGrant",
        ]
        Resource = "*"
      },
      {
        Sid       = "StoreByS3"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = {
          StringEquals = { "kms:ViaService" = "s3.${data.aws_region.here.name}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:aws:s3:arn" = ["${local.arn}:s3:::${var.bucket}", "${local.arn}:s3:::${var.bucket}/*"] }
        }
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${data.aws_region.here.name}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = "${local.arn}:logs:${data.aws_region.here.name}:${local.account_id}:log-group:${local.log_group}" }
        }
      },
    ]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "store" {
  name          = "alias/${var.name}-store"
  target_key_id = aws_kms_key.store.key_id
}

resource "aws_s3_bucket" "store" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events (module alarms) say who read and wrote, with the principal and sooner than access logs
  #checkov:skip=CKV_AWS_144:a copy in another region is a choice about availability; the objects are sealed and any copy of them will do
  #checkov:skip=CKV2_AWS_62:nothing waits for an object; who wrote one stands in CloudTrail
  bucket        = var.bucket
  force_destroy = false
  tags          = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.store.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "store" {
  bucket                  = aws_s3_bucket.store.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Versions are never expired: an old one is what a rolled-back store is compared with.
resource "aws_s3_bucket_lifecycle_configuration" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.store]
}

resource "aws_s3_bucket_policy" "store" {
  bucket = aws_s3_bucket.store.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "RecentTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      {
        Sid       = "NoOtherKey"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.store.arn}/*"
        Condition = { StringNotEqualsIfExists = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = aws_kms_key.store.arn } }
      },
      # The parent writes with If-None-Match; who has its credentials must, too.
      {
        Sid       = "NeverOverwrite"
        Effect    = "Deny"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.store.arn}/*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        Sid       = "NeverDelete"
        Effect    = "Deny"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"]
        Resource  = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
      },
      # Credentials that leave the host are worth nothing elsewhere.
      {
        Sid       = "HostsFromTheirVpcOnly"
        Effect    = "Deny"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
        Condition = { StringNotEquals = { "aws:SourceVpc" = var.vpc_id } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.store]
}
