output "topic_arn" {
  description = "The topic of every alarm: pagers and chats subscribe to it."
  value       = aws_sns_topic.alarms.arn
}

output "alarms" {
  description = "Every alarm by its name, and why it rings."
  value = merge(
    { for name, alarm in aws_cloudwatch_metric_alarm.keys : alarm.alarm_name => alarm.alarm_description },
    { for name, alarm in aws_cloudwatch_metric_alarm.rates : alarm.alarm_name => alarm.alarm_description },
    { for name, alarm in aws_cloudwatch_metric_alarm.levels : alarm.alarm_name => alarm.alarm_description },
    { for alarm in aws_cloudwatch_metric_alarm.certificate : alarm.alarm_name => alarm.alarm_description },
  )
}
