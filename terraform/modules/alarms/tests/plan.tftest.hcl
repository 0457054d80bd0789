# What is watched, and that everything rings. tests/terraform holds the patterns against events.

# Computed values are known at plan, so that the policies made of them can be read. (Terraform 1.11.)
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab"
      key_id = "99999999-12ab-34cd-56ef-1234567890ab"
    }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:nitro-signer-alarms" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::treasury-trail", id = "treasury-trail" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/nitro-signer/nitro-signer/trail" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/nitro-signer-trail", id = "nitro-signer-trail" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

variables {
  key_arns           = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  manifest_hashes    = [join("", [for i in range(48) : "5e"])]
  image_digests      = [join("", [for i in range(16) : "0007ff"])]
  administrators     = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  watched_principals = { KeyAdministrator = "arn:aws:iam::111122223333:role/KeyAdministrator" }
  trail_bucket       = "treasury-trail"
  metrics            = { namespace = "NitroSigner", deployment = "treasury", vault = "main" }
}

run "everything_that_is_watched" {
  command = plan

  assert {
    condition = keys(output.alarms) == [
      "nitro-signer-CreateGrant", "nitro-signer-DeleteImportedKeyMaterial", "nitro-signer-DisableKey",
      "nitro-signer-DisableKeyRotation", "nitro-signer-ImportKeyMaterial", "nitro-signer-PutKeyPolicy",
      "nitro-signer-ReplicateKey", "nitro-signer-ScheduleKeyDeletion", "nitro-signer-UpdatePrimaryRegion",
      "nitro-signer-authentication-failures", "nitro-signer-certificate", "nitro-signer-credentials",
      "nitro-signer-not-ready", "nitro-signer-principal-KeyAdministrator", "nitro-signer-refusals",
      "nitro-signer-refused", "nitro-signer-refused-records", "nitro-signer-unattested",
      "nitro-signer-unexpected-manifest", "nitro-signer-unlisted-image", "nitro-signer-zero-digest",
    ]
    error_message = "the alarms are ${join(", ", keys(output.alarms))}"
  }

  assert {
    condition     = alltrue(flatten([for alarms in [values(aws_cloudwatch_metric_alarm.keys), values(aws_cloudwatch_metric_alarm.rates), values(aws_cloudwatch_metric_alarm.levels), aws_cloudwatch_metric_alarm.certificate] : [for alarm in alarms : tolist(alarm.alarm_actions) == tolist([aws_sns_topic.alarms.arn]) && alarm.actions_enabled != false]]))
    error_message = "an alarm tells nobody"
  }

  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.keys : contains([for filter in values(aws_cloudwatch_log_metric_filter.this) : filter.metric_transformation[0].name], alarm.metric_name) && alarm.threshold == 1 && alarm.namespace == "NitroSigner/Keys"])
    error_message = "an alarm waits for a metric that no filter makes"
  }

  assert {
    condition     = alltrue([for filter in values(aws_cloudwatch_log_metric_filter.this) : contains([for alarm in values(aws_cloudwatch_metric_alarm.keys) : alarm.metric_name], filter.metric_transformation[0].name)])
    error_message = "a filter makes a metric that no alarm waits for"
  }

  assert {
    condition     = alltrue([for target in values(aws_cloudwatch_event_target.this) : target.arn == aws_sns_topic.alarms.arn])
    error_message = "a rule tells nobody"
  }
}

run "the_trail" {
  command = plan

  variables {
    data_event_buckets = ["arn:aws:s3:::treasury-store"]
  }

  assert {
    condition     = aws_cloudtrail.this[0].is_multi_region_trail && aws_cloudtrail.this[0].enable_log_file_validation && aws_cloudtrail.this[0].include_global_service_events && aws_cloudtrail.this[0].enable_logging != false && aws_cloudtrail.this[0].kms_key_id == aws_kms_key.watch.arn
    error_message = "the trail leaves something out, or is not encrypted"
  }

  assert {
    condition     = toset(flatten([for selector in aws_cloudtrail.this[0].advanced_event_selector : [for field in selector.field_selector : join(" ", concat([selector.name, field.field], field.equals == null ? [] : field.equals, field.starts_with == null ? [] : field.starts_with))]])) == toset(["management eventCategory Management", "store eventCategory Data", "store resources.ARN arn:aws:s3:::treasury-store/", "store resources.type AWS::S3::Object"])
    error_message = "the trail selects something else"
  }

  assert {
    condition     = alltrue([for selector in aws_cloudtrail.this[0].advanced_event_selector : alltrue([for field in selector.field_selector : field.field != "readOnly" && field.not_equals == null])])
    error_message = "the trail leaves events out"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.trail[0].block_public_policy && aws_s3_bucket_versioning.trail[0].versioning_configuration[0].status == "Enabled"
    error_message = "the trail's bucket is open, or forgets"
  }
}

run "an_existing_trail" {
  command = plan

  variables {
    trail_bucket             = null
    existing_trail_log_group = "organization/trail"
  }

  assert {
    condition     = length(aws_cloudtrail.this) + length(aws_s3_bucket.trail) + length(aws_cloudwatch_log_group.trail) + length(aws_iam_role.trail) == 0
    error_message = "a second trail is made"
  }

  assert {
    condition     = alltrue([for filter in values(aws_cloudwatch_log_metric_filter.this) : filter.log_group_name == "organization/trail"])
    error_message = "the filters read another log"
  }
}

run "a_closed_key" {
  command = plan

  variables {
    manifest_hashes = []
    image_digests   = []
    metrics         = null
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_log_metric_filter.this["unexpected-manifest-0"].pattern, "userAgent") && strcontains(aws_cloudwatch_log_metric_filter.this["unexpected-manifest-0"].pattern, "Decrypt")
    error_message = "a closed key can be used without an alarm"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_log_metric_filter.this), "unlisted-image-0") && contains(keys(aws_cloudwatch_log_metric_filter.this), "zero-digest-0")
    error_message = "images are compared with none"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.rates) + length(aws_cloudwatch_metric_alarm.levels) + length(aws_cloudwatch_metric_alarm.certificate) == 0
    error_message = "alarms wait for metrics that do not exist"
  }
}

run "a_digest_in_base64" {
  command = plan

  assert {
    condition     = local.base64_digests == [join("", [for i in range(16) : "AAf/"])]
    error_message = "the digest is ${jsonencode(local.base64_digests)}"
  }
}

run "two_keys_in_two_regions" {
  command = plan

  variables {
    key_arns = ["arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"]
  }

  assert {
    condition     = length(aws_cloudwatch_log_metric_filter.this) == 2 * 14 + 1 && length(aws_cloudwatch_metric_alarm.keys) == 15
    error_message = "a key is not watched"
  }
}

run "what_the_parents_say" {
  command = plan

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.levels : name => "${alarm.metric_name} ${alarm.statistic} ${alarm.comparison_operator} ${alarm.threshold} ${alarm.treat_missing_data}" } == {
      not-ready       = "nitro_signer_ready Maximum LessThanThreshold 1 breaching"
      refused-records = "nitro_signer_refused_records Maximum GreaterThanThreshold 0 notBreaching"
      credentials     = "nitro_signer_credentials_failures_total Sum GreaterThanThreshold 0 notBreaching"
    }
    error_message = "an alarm has another condition"
  }

  assert {
    condition = sort([for query in aws_cloudwatch_metric_alarm.rates["authentication-failures"].metric_query : "${query.metric[0].metric_name} ${lookup(query.metric[0].dimensions, "code", "")}" if length(query.metric) > 0]) == tolist([
      "nitro_signer_handshake_failures_total ", "nitro_signer_requests_total not_authenticated", "nitro_signer_requests_total proof_count",
      "nitro_signer_requests_total proof_expired", "nitro_signer_requests_total proof_invalid", "nitro_signer_requests_total proof_replayed",
      "nitro_signer_requests_total proof_required",
    ])
    error_message = "failures to authenticate are counted by other codes"
  }

  assert {
    condition     = [for query in aws_cloudwatch_metric_alarm.certificate[0].metric_query : query.expression if query.expression != null && query.expression != ""] == ["(expiry - EPOCH(expiry)) / 86400"] && aws_cloudwatch_metric_alarm.certificate[0].threshold == 21
    error_message = "the certificate's end is computed otherwise"
  }
}
