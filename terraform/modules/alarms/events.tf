# The same changes of the keys by EventBridge, within seconds and with the event itself, in this
# region; and attempts to blind this module. The metric filters are slower and see every region.

locals {
  key_ids = [for arn in var.key_arns : split("/", arn)[1]]

  rules = {
    key-changes = {
      description = "A vault's key was changed, or somebody tried"
      pattern = {
        source        = ["aws.kms"]
        "detail-type" = ["AWS API Call via CloudTrail"]
        detail = {
          eventSource = ["kms.amazonaws.com"]
          eventName   = keys(local.changes)
          "$or" = [
            { resources = { ARN = var.key_arns } },
            { requestParameters = { keyId = concat(var.key_arns, local.key_ids) } },
          ]
        }
      }
    }
    blinding = {
      description = "Trail, rules, alarms or topic of this account were changed in a way that could blind the alarms"
      pattern = {
        source        = ["aws.cloudtrail", "aws.events", "aws.logs", "aws.monitoring", "aws.sns"]
        "detail-type" = ["AWS API Call via CloudTrail"]
        detail = {
          eventName = [
            "StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors",
            "DisableRule", "DeleteRule", "RemoveTargets",
            "DeleteMetricFilter", "DeleteLogGroup", "DeleteAlarms", "DisableAlarmActions",
            "DeleteTopic", "Unsubscribe",
          ]
        }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  state         = "ENABLED"
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "topic"
  arn       = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths = {
      account = "$.account"
      error   = "$.detail.errorCode"
      event   = "$.detail.eventName"
      id      = "$.detail.eventID"
      region  = "$.region"
      time    = "$.time"
      who     = "$.detail.userIdentity.arn"
    }
    input_template = "\"nitro-signer: ${each.value.description}: <event> by <who> at <time> in <region>, account <account>; error, if it was refused: <error>; CloudTrail event <id>\""
  }
}
