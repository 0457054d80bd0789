# What the parents' own metrics say, as Amazon's agent on the hosts brings them (module appliance).
# They are the host's word: they find faults and clumsy attackers. What a host cannot hide is in
# keys.tf.

locals {
  of_vault = var.metrics == null ? {} : { deployment = var.metrics.deployment, vault = var.metrics.vault }

  # Of the refusal codes (README of the appliance): whom the enclave did not believe, and what policy
  # refused.
  rates = var.metrics == null ? {} : {
    authentication-failures = {
      why       = "more failures to authenticate in five minutes than are tolerated"
      threshold = var.thresholds.authentication_failures
      metrics = concat(
        [for code in ["not_authenticated", "proof_required", "proof_invalid", "proof_expired", "proof_replayed", "proof_count"] :
        { name = "nitro_signer_requests_total", dimensions = merge(local.of_vault, { code = code }) }],
        [{ name = "nitro_signer_handshake_failures_total", dimensions = local.of_vault }],
      )
    }
    refusals = {
      why       = "more requests refused by policy in five minutes than are tolerated"
      threshold = var.thresholds.refusals
      metrics = [for code in ["policy_denied", "policy_error"] :
      { name = "nitro_signer_requests_total", dimensions = merge(local.of_vault, { code = code }) }]
    }
  }

  levels = var.metrics == null ? {} : {
    not-ready = {
      why        = "for ten minutes no appliance is ready to sign, or none says so"
      metric     = "nitro_signer_ready"
      statistic  = "Maximum"
      comparison = "LessThanThreshold"
      threshold  = 1
      periods    = 2
      missing    = "breaching"
    }
    refused-records = {
      why        = "the enclave refused stored key records: the store was changed or damaged"
      metric     = "nitro_signer_refused_records"
      statistic  = "Maximum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      periods    = 1
      missing    = "notBreaching"
    }
    credentials = {
      why        = "the enclave did not take the host's AWS credentials"
      metric     = "nitro_signer_credentials_failures_total"
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      periods    = 2
      missing    = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "rates" {
  for_each = local.rates

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.why
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  # A code that has not occurred yet is no metric yet.
  metric_query {
    id          = "total"
    expression  = "SUM(FILL(METRICS(), 0))"
    label       = each.key
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = var.metrics.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "levels" {
  for_each = local.levels

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.why
  namespace           = var.metrics.namespace
  metric_name         = each.value.metric
  dimensions          = local.of_vault
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags
}

# The metric is the Unix time at which the first of the parent's certificates ends.
resource "aws_cloudwatch_metric_alarm" "certificate" {
  count = var.metrics == null ? 0 : 1

  alarm_name          = "${var.name}-certificate"
  alarm_description   = "a certificate of the HTTPS face ends in less than ${var.thresholds.certificate_days} days; put a new one into the release"
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = var.thresholds.certificate_days
  treat_missing_data  = "missing"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "days"
    expression  = "(expiry - EPOCH(expiry)) / 86400"
    label       = "days left"
    return_data = true
  }

  metric_query {
    id = "expiry"

    metric {
      namespace   = var.metrics.namespace
      metric_name = "nitro_signer_certificate_expiry_seconds"
      dimensions  = local.of_vault
      stat        = "Minimum"
      period      = 3600
    }
  }
}
