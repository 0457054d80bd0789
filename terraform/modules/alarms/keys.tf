# What is done with the keys, from CloudTrail's events, in every region: metric filters and one alarm
# each. CloudTrail shows the image's digest and no PCR16, so the manifest is known by the user agent.
# A call that KMS refuses carries no recipient there; it is counted as refused, not as unattested.
#
# Sources: AWS KMS Developer Guide, "Monitoring requests for Nitro enclaves"; CloudWatch Logs User
# Guide, "Filter pattern syntax for metric filters".

locals {
  # What makes a way in, and what makes the vault unusable. An alias decides nothing, so its changes
  # are left out.
  changes = {
    PutKeyPolicy              = "may open the key to somebody"
    CreateGrant               = "may open the key to somebody, past its policy's conditions"
    ReplicateKey              = "makes a key with the same material and a policy of its own"
    UpdatePrimaryRegion       = "moves what decides about the key to another region"
    ImportKeyMaterial         = "makes the key's material known to whoever made it"
    DeleteImportedKeyMaterial = "makes the vault unusable at once"
    ScheduleKeyDeletion       = "makes the vault unusable at once, and lost when the window ends"
    DisableKey                = "makes the vault unusable"
    DisableKeyRotation        = "stops rotation"
  }

  digest = "$.additionalEventData.recipient.attestationDocumentEnclaveImageDigest"
  use    = "(($.eventName = \"Decrypt\") || ($.eventName = \"GenerateDataKey*\"))"

  # CloudTrail writes a digest in base64; the Developer Guide's example shows hex, so both are compared.
  base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  base64_digests = [
    for digest in var.image_digests : join("", flatten([
      for three_digits in [for i in range(32) : parseint(substr(digest, 3 * i, 3), 16)] : [
        substr(local.base64_alphabet, floor(three_digits / 64), 1), substr(local.base64_alphabet, three_digits % 64, 1),
      ]
    ]))
  ]
  zeros = { base64 = join("", [for i in range(64) : "A"]), hex = join("", [for i in range(96) : "0"]) }

  # Where the call was refused, only the error may name the key.
  of_key = { for arn in var.key_arns : arn => "(($.resources[0].ARN = \"${arn}\") || ($.errorMessage = \"*${arn}*\"))" }

  uses = {
    unattested = {
      why     = "KMS served a call without an enclave's attestation document: the key's policy lets somebody in"
      pattern = { for arn, of_key in local.of_key : arn => "{ ($.eventSource = \"kms.amazonaws.com\") && (${local.use} || ($.eventName = \"Encrypt\") || ($.eventName = \"ReEncrypt\") || ($.eventName = \"DeriveSharedSecret\")) && (($.resources[0].ARN = \"${arn}\") || ($.resources[1].ARN = \"${arn}\")) && ($.errorCode NOT EXISTS) && (${local.digest} NOT EXISTS) }" }
    }
    zero-digest = {
      why     = "KMS was called by an enclave in debug mode, whose memory its host can read"
      pattern = { for arn, of_key in local.of_key : arn => "{ ($.eventSource = \"kms.amazonaws.com\") && ($.resources[0].ARN = \"${arn}\") && ((${local.digest} = \"${local.zeros.base64}\") || (${local.digest} = \"${local.zeros.hex}\")) }" }
    }
    unlisted-image = {
      why     = "KMS served an image that is not in image_digests"
      pattern = { for arn, of_key in local.of_key : arn => format("{ %s }", join(" && ", concat(["($.eventSource = \"kms.amazonaws.com\")", "($.resources[0].ARN = \"${arn}\")", "(${local.digest} EXISTS)"], [for digest in local.base64_digests : "(${local.digest} != \"${digest}\")"]))) }
    }
    unexpected-manifest = {
      why     = "the key was used, or tried, by something that does not carry an expected manifest's hash in its user agent"
      pattern = { for arn, of_key in local.of_key : arn => format("{ %s }", join(" && ", concat(["($.eventSource = \"kms.amazonaws.com\")", local.use, of_key], [for hash in var.manifest_hashes : "($.userAgent != \"*nitro-signer/${hash}/*\")"]))) }
    }
    refused = {
      why     = "KMS refused to open a vault: another image, another manifest, a stolen credential, or `nitro-signer doctor`, whose last question but one is meant to be refused"
      pattern = { for arn, of_key in local.of_key : arn => "{ ($.eventSource = \"kms.amazonaws.com\") && ${local.use} && ${of_key} && ($.errorCode = \"*AccessDenied*\") }" }
    }
  }

  watched_uses = [for name in keys(local.uses) : name if name != "unlisted-image" || length(var.image_digests) > 0]

  # One filter for each key and question, by the alarm's name and the key's place in the list.
  filters = merge(
    { for pair in setproduct(local.watched_uses, range(length(var.key_arns))) : "${pair[0]}-${pair[1]}" => {
      metric  = pair[0]
      pattern = local.uses[pair[0]].pattern[var.key_arns[pair[1]]]
    } },
    { for pair in setproduct(keys(local.changes), range(length(var.key_arns))) : "${pair[0]}-${pair[1]}" => {
      metric  = pair[0]
      pattern = "{ ($.eventSource = \"kms.amazonaws.com\") && ($.eventName = \"${pair[0]}\") && (($.requestParameters.keyId = \"*${split("/", var.key_arns[pair[1]])[1]}\") || ${local.of_key[var.key_arns[pair[1]]]}) }"
    } },
    { for name, arn in var.watched_principals : "principal-${name}" => {
      metric  = "principal-${name}"
      pattern = "{ ($.userIdentity.arn = \"${arn}\") || ($.userIdentity.sessionContext.sessionIssuer.arn = \"${arn}\") || ($.requestParameters.roleArn = \"${arn}\") }"
    } },
  )

  alarms = merge(
    { for name in local.watched_uses : name => local.uses[name].why },
    { for name, why in local.changes : name => "${name} on a vault's key, done or tried: it ${why}" },
    { for name, arn in var.watched_principals : "principal-${name}" => "${arn} was used, or somebody tried to become it" },
  )
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.filters

  name           = "${var.name}-${each.key}"
  log_group_name = var.existing_trail_log_group == null ? aws_cloudwatch_log_group.trail[0].name : var.existing_trail_log_group
  pattern        = each.value.pattern

  metric_transformation {
    namespace = "NitroSigner/Keys"
    name      = "${var.name}-${each.value.metric}"
    value     = "1"
  }

  lifecycle {
    precondition {
      condition     = length(each.value.pattern) <= 1024
      error_message = "A filter pattern is longer than the 1,024 characters that CloudWatch takes: list fewer manifest_hashes or image_digests."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "keys" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value
  namespace           = "NitroSigner/Keys"
  metric_name         = "${var.name}-${each.key}"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  depends_on = [aws_cloudwatch_log_metric_filter.this]
}
